// What the page does in the browser beyond Gradio: links between markers and cards, examples, the newest turn in view.
// Handlers sit on the document, since Gradio replaces the elements below it.
(() => {
  "use strict";

  // A link within the page moves the focus to what it names. The browser alone would resolve it against Gradio's <base>.
  function follow(link) {
    const target = document.getElementById(link.getAttribute("href").slice(1));
    if (!target) return;
    for (let e = target; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: "nearest" });
  }

  // An example is typed and sent as the user would: the text box learns of it by its input event.
  async function ask(question) {
    const box = document.querySelector("#question textarea");
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(box, question);
    box.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise(requestAnimationFrame);
    document.getElementById("send").click();
    box.focus();
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("#columns a[href^='#']");
    const example = event.target.closest("button.example");
    if (link) {
      event.preventDefault();
      follow(link);
    } else if (example) {
      ask(example.dataset.question);
    }
  });

  // The card of the marker under the pointer or the focus is lit.
  function light(event, on) {
    const marker = event.target.closest?.("a.marker");
    const card = marker && document.getElementById(marker.getAttribute("href").slice(1));
    if (card) card.classList.toggle("lit", on);
  }
  for (const name of ["mouseover", "focusin"]) document.addEventListener(name, (event) => light(event, true));
  for (const name of ["mouseout", "focusout"]) document.addEventListener(name, (event) => light(event, false));

  // A new turn comes into view, and once more when its reply is there; one that grows moves nothing.
  let last = "";
  new MutationObserver(() => {
    const turn = document.querySelector("#conversation .turn:last-child");
    const state = turn ? `${turn.id} ${turn.getAttribute("aria-busy")}` : "";
    if (turn && state !== last) turn.scrollIntoView({ block: "nearest" });
    last = state;
  }).observe(document.documentElement, { attributeFilter: ["aria-busy", "id"], childList: true, subtree: true });
})();
