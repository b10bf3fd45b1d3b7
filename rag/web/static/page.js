// What the page does in the browser beyond Gradio: it hands buttons of the views to their handlers, opens documents,
// keeps conversations in this browser, and looks after keyboard and focus. Handlers sit on the document, since Gradio
// replaces the elements below it. No foreign text becomes markup here: it is only ever set as textContent.
(() => {
  "use strict";

  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const box = () => $("#question textarea");
  const busy = () => Boolean($("#pending .turn"));
  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  // -- to Gradio ------------------------------------------------------------------------------------------------------

  // A text box of Gradio learns of a value by its input event, as if it had been typed.
  function type(input, text) {
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(input, text);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // Calls a handler of the page. Gradio notices a change only: the number makes any two messages differ.
  let n = 0;
  function tell(wire, message) {
    type($(`#wire-${wire} textarea`), JSON.stringify({ ...message, n: ++n }));
  }

  let choice = {};
  const chosenIn = (form) => Object.fromEntries(new FormData(form));

  function choose(replaces = 0) {
    choice = $("#choice form") ? chosenIn($("#choice form")) : {};
    type($("#chosen textarea"), JSON.stringify({ ...choice, replaces }));
  }

  function named(form) {
    const { source, since, until } = form.elements;
    const parts = [source.value && source.selectedOptions[0].textContent];
    parts.push(since.value && `from ${since.value}`, until.value && `until ${until.value}`);
    return parts.filter(Boolean).join(", ") || "All documents";
  }

  function showChoice() {
    const form = $("#choice form");
    $("summary", form).textContent = named(form);
    choose();
  }

  // The form comes anew when the documents have changed; what was chosen in it stays.
  function keepChoice() {
    const form = $("#choice form");
    if (!form || !$("#chosen textarea")) return;
    const isSame = JSON.stringify(chosenIn(form)) === JSON.stringify(choice);
    if (isSame && $("summary", form).textContent === named(form)) return;
    for (const [name, value] of Object.entries(choice)) form.elements[name].value = value;
    if (form.elements.source.selectedIndex < 0) form.elements.source.value = ""; // that document is gone
    showChoice();
  }

  async function ask(question, replaces = 0) {
    if (busy()) return say("Another question is in work: stop it, or wait for its answer.");
    choose(replaces);
    type(box(), question);
    await new Promise(requestAnimationFrame);
    box().focus();
    $("#send").click();
  }

  // -- a question is edited -------------------------------------------------------------------------------------------

  function edit(number) {
    choose(number);
    for (const turn of all("#conversation .turn")) turn.classList.toggle("replaced", Number(turn.id.slice(5)) >= number);
    type(box(), $(`#turn-${number}`).dataset.question);
    box().focus();
    say("Edit the question and ask. Escape leaves it as it was.");
  }

  function stopEditing() {
    if (!$(".turn.replaced")) return;
    for (const turn of all(".turn.replaced")) turn.classList.remove("replaced");
    choose();
    type(box(), "");
  }

  // -- lines for the reader -------------------------------------------------------------------------------------------

  let fading;
  const toast = element("p", { id: "toast" });
  toast.setAttribute("role", "status");
  const spoken = element("p", { className: "unseen" });
  spoken.setAttribute("role", "status");

  function say(line) {
    toast.textContent = line;
    toast.classList.add("up");
    clearTimeout(fading);
    fading = setTimeout(() => toast.classList.remove("up"), 8000);
  }

  function confirmed(question) {
    const dialog = element("dialog", { className: "confirm" }, element("p", { textContent: question }));
    const form = element("form", { method: "dialog" });
    form.append(element("button", { value: "", textContent: "Keep" }), element("button", { value: "yes", textContent: "Delete" }));
    dialog.append(form);
    document.body.append(dialog);
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => (dialog.remove(), resolve(dialog.returnValue === "yes")));
    });
  }

  // -- the document view ----------------------------------------------------------------------------------------------

  let opener, place;

  function openReader() {
    const dialog = $("#document dialog:not([open])");
    if (!dialog || dialog.dataset.seen) return;
    dialog.dataset.seen = "yes";
    dialog.addEventListener("close", () => opener?.isConnected && opener.focus());
    dialog.showModal();
    const chosen = $("mark.chosen", dialog);
    $("h2", dialog).focus();
    if (chosen) go(dialog, Number(chosen.dataset.place.split(" ")[0]));
  }

  function go(dialog, number) {
    place = number;
    for (const mark of all("mark.quote", dialog)) {
      mark.classList.toggle("chosen", mark.dataset.place.split(" ").includes(String(number)));
    }
    $("mark.chosen", dialog).scrollIntoView({ block: "center" });
    const at = $(".steps .at", dialog);
    if (at) at.textContent = number + 1;
  }

  function step(button) {
    const dialog = button.closest("dialog");
    const last = Math.max(...all("mark.quote", dialog).flatMap((mark) => mark.dataset.place.split(" ").map(Number)));
    go(dialog, (place + Number(button.dataset.step) + last + 1) % (last + 1));
  }

  // -- conversations that this browser keeps --------------------------------------------------------------------------

  const KEPT = "footnote.conversations"; // [{id, at, turns: [{record, scope, verdict}]}], the newest first
  const MAX_KEPT = 30;
  const MAX_TURNS = 200; // of one conversation, as rag/web/restore.py takes them
  const MAX_CHARS = 2_000_000; // browsers give a page some 5,000,000
  const read = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(KEPT)) ?? [];
      return kept.filter((conversation) => conversation.turns[0].record.question);
    } catch {
      return [];
    }
  };

  function write(kept) {
    const few = kept.slice(0, MAX_KEPT);
    while (few.length > 1 && JSON.stringify(few).length > MAX_CHARS) few.pop();
    try {
      localStorage.setItem(KEPT, JSON.stringify(few));
    } catch {
      say("This browser has no room to keep the conversation. Export it if you need it.");
    }
    showEarlier();
  }

  const records = () => all("#conversation .turn[data-record]").map((turn) => JSON.parse(turn.dataset.record));

  function keep() {
    const turns = all("#conversation .turn[data-record]").map((turn) => ({
      record: JSON.parse(turn.dataset.record),
      scope: turn.dataset.scope,
      verdict: turn.dataset.verdict || null,
    }));
    if (!turns.length) return;
    turns.splice(0, turns.length - MAX_TURNS);
    const id = sessionStorage.getItem("footnote.current") ?? crypto.getRandomValues(new Uint32Array(2)).join("");
    sessionStorage.setItem("footnote.current", id);
    const kept = read();
    const old = kept.find((conversation) => conversation.id === id);
    if (old && JSON.stringify(old.turns) === JSON.stringify(turns)) return;
    write([{ id, at: new Date().toISOString(), turns }, ...kept.filter((conversation) => conversation !== old)]);
  }

  function restore(conversation) {
    sessionStorage.setItem("footnote.current", conversation.id);
    tell("restore", { turns: conversation.turns });
  }

  function forget(id) {
    write(read().filter((conversation) => conversation.id !== id));
  }

  function showEarlier() {
    const place = $("#earlier"); // on the empty page only
    if (!place) return;
    const kept = read();
    place.replaceChildren();
    if (!kept.length) return;
    const list = element("ul");
    for (const conversation of kept) {
      const { question } = conversation.turns[0].record;
      const when = new Date(conversation.at).toLocaleDateString(undefined, { day: "numeric", month: "long" });
      const open = element("button", { type: "button", className: "link", textContent: question });
      open.addEventListener("click", () => restore(conversation));
      const remove = element("button", { type: "button", className: "forget", textContent: "Forget" });
      remove.setAttribute("aria-label", `Forget: ${question}`);
      remove.addEventListener("click", () => forget(conversation.id));
      const n = conversation.turns.length;
      const about = element("span", { className: "about", textContent: `${when}, ${n} question${n === 1 ? "" : "s"}` });
      list.append(element("li", {}, open, about, remove));
    }
    const clear = element("button", { type: "button", className: "forget", textContent: "Forget all" });
    clear.addEventListener("click", () => write([]));
    place.append(element("h2", { textContent: "Earlier, in this browser" }), list, clear);
  }

  // -- copies and files -----------------------------------------------------------------------------------------------

  async function copy(turn) {
    try {
      await navigator.clipboard.writeText(turn.dataset.markdown);
      say("Copied, with its footnotes.");
    } catch {
      say("The browser does not let the page copy. Export the conversation instead.");
    }
  }

  function save(kind) {
    const text =
      kind === "md"
        ? all("#conversation .turn[data-markdown]").map((turn) => turn.dataset.markdown).join("\n")
        : JSON.stringify(records(), null, 1) + "\n";
    const url = URL.createObjectURL(new Blob([text], { type: kind === "md" ? "text/markdown" : "application/json" }));
    element("a", { href: url, download: `footnote-${new Date().toISOString().slice(0, 10)}.${kind}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  // -- documents that the reader brings -------------------------------------------------------------------------------

  function showUploads(uploads) {
    const done = uploads.filter(({ state }) => state === "done" || state === "refused").length;
    const progress = element("progress", { max: uploads.length, value: done });
    progress.setAttribute("aria-label", "Files done");
    const list = element("ul");
    for (const { name, state, line } of uploads) {
      const about = [element("b", { textContent: name }), " ", element("span", { textContent: line })];
      list.append(element("li", { className: state.replace(" ", "-") }, ...about));
    }
    const section = element("section", { className: "uploads" }, progress, list);
    section.setAttribute("aria-label", "Uploads");
    $("#arrivals").replaceChildren(section);
  }

  // The server answers with a line of JSON for each step: where every file is.
  async function upload(files) {
    const showAll = (state, line) => showUploads(files.map(({ name }) => ({ name, state, line })));
    showAll("waiting", "on its way");
    const form = new FormData();
    for (const file of files) form.append("files", file);
    try {
      const response = await fetch("upload", { method: "POST", body: form });
      if (!response.ok) return showAll("refused", (await response.json()).detail);
      let rest = "";
      for (const reader = response.body.pipeThrough(new TextDecoderStream()).getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) break;
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        for (const line of lines) showUploads(JSON.parse(line));
      }
    } catch {
      showAll("refused", "the server did not take it, or does not answer any more");
    } finally {
      tell("uploaded", {});
    }
  }

  document.addEventListener("change", ({ target }) => {
    if (target.id !== "files" || !target.files.length) return;
    upload([...target.files]);
    target.value = ""; // the same file may be chosen again
  });

  // -- colours --------------------------------------------------------------------------------------------------------

  const THEMES = { "": "auto", light: "light", dark: "dark" }; // auto: as the system has it

  function paint(theme) {
    document.documentElement.dataset.theme = theme;
    const button = $("[data-theme-switch]");
    if (button) button.textContent = `Theme: ${THEMES[theme]}`;
  }

  function nextTheme() {
    const names = Object.keys(THEMES);
    const theme = names[(names.indexOf(localStorage.getItem("footnote.theme") ?? "") + 1) % names.length];
    localStorage.setItem("footnote.theme", theme);
    paint(theme);
  }

  // -- what the reader does -------------------------------------------------------------------------------------------

  // A link within the page moves the focus to what it names. The browser alone would resolve it against Gradio's <base>.
  function follow(link) {
    const target = document.getElementById(link.getAttribute("href").slice(1));
    if (!target) return;
    for (let e = target; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
    if (target.id === "question") return box().focus();
    target.tabIndex = target.tabIndex < 0 ? -1 : target.tabIndex;
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: "nearest" });
  }

  let awaited; // id of what is focused when the evidence is there

  async function press(button) {
    if (button.dataset.confirm && !(await confirmed(button.dataset.confirm))) return;
    const { wire, confirm, ...message } = button.dataset;
    if (wire === "open") opener = button;
    if (wire === "search_for") awaited = `turn-${message.turn}-evidence`;
    if (wire === "feedback") judge(button);
    if (wire === "new") {
      sessionStorage.removeItem("footnote.current");
      history.replaceState(null, "", location.pathname);
    }
    tell(wire, message);
  }

  function judge(thumb) {
    const turn = thumb.closest(".turn");
    for (const other of all(".thumb", turn)) other.setAttribute("aria-pressed", String(other === thumb));
    turn.dataset.verdict = thumb.dataset.verdict;
    $("form.comment", turn).hidden = false;
    keep();
  }

  // A comment that is being written outlives the next answer, which brings all turns anew.
  const drafts = new Map(); // record of a turn -> what is typed for it, and where in it
  let writing = ""; // the record of the turn whose comment has the focus

  function noteDraft({ target }) {
    const form = target.closest?.("form.comment");
    if (!form) return;
    writing = form.closest(".turn").dataset.record;
    drafts.set(writing, { text: form.comment.value, at: form.comment.selectionStart });
  }
  for (const name of ["input", "focusin"]) document.addEventListener(name, noteDraft);

  // What is taken from the page loses the focus, too: only what stays was left by the reader.
  document.addEventListener("focusout", ({ target }) => {
    if (target.closest?.("form.comment")) setTimeout(() => target.isConnected && (writing = ""));
  });

  function bringDrafts() {
    for (const form of all(".turn:not([data-verdict='']) form.comment[hidden]")) {
      const { record } = form.closest(".turn").dataset;
      const draft = drafts.get(record);
      if (!draft) continue;
      form.hidden = false;
      form.comment.value = draft.text;
      if (record !== writing || document.activeElement !== document.body) continue;
      form.comment.focus({ preventScroll: true });
      form.comment.setSelectionRange(draft.at, draft.at);
    }
  }

  const ACTIONS = {
    "[data-wire]": press,
    "button.example": (button) => ask(button.dataset.question),
    "[data-edit]": (button) => edit(Number(button.dataset.edit)),
    "[data-again]": (button) => ask(button.closest(".turn").dataset.question, Number(button.dataset.again)),
    "[data-copy]": (button) => copy(button.closest(".turn")),
    "[data-export]": (button) => save(button.dataset.export),
    "[data-add]": () => $("#files").click(),
    "[data-theme-switch]": nextTheme,
    "[data-close]": (button) => button.closest("dialog").close(),
    "[data-step]": step,
    "a[href^='#']": follow,
  };

  document.addEventListener("click", (event) => {
    for (const [selector, act] of Object.entries(ACTIONS)) {
      const found = event.target.closest?.(selector);
      if (!found) continue;
      event.preventDefault();
      act(found);
      return;
    }
  });

  document.addEventListener("submit", (event) => {
    if (event.target.matches(".choice")) event.preventDefault();
    if (!event.target.matches("form.comment")) return;
    event.preventDefault();
    const turn = event.target.closest(".turn");
    tell("feedback", { turn: event.target.dataset.turn, verdict: turn.dataset.verdict, comment: event.target.comment.value });
    event.target.hidden = true;
    drafts.delete(turn.dataset.record);
  });

  for (const name of ["input", "change"]) {
    document.addEventListener(name, (event) => event.target.closest(".choice") && showChoice());
  }
  document.addEventListener("reset", (event) => event.target.matches(".choice") && setTimeout(showChoice));

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") stopEditing();
    if ((event.key === "Enter" || event.key === " ") && event.target.matches?.(".marker")) {
      event.preventDefault();
      return event.target.click();
    }
    const typing = event.target.closest?.("input, textarea, select, dialog");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      $("#ask-button")?.click();
      setTimeout(() => box().focus());
    }
  });

  // The card of the marker under the pointer or the focus is lit.
  function light(event, on) {
    const marker = event.target.closest?.(".marker");
    const card = marker && document.getElementById(`turn-${marker.dataset.turn}-note-${marker.dataset.marker}`);
    if (card) card.classList.toggle("lit", on);
  }
  for (const name of ["mouseover", "focusin"]) document.addEventListener(name, (event) => light(event, true));
  for (const name of ["mouseout", "focusout"]) document.addEventListener(name, (event) => light(event, false));

  // -- what Gradio brings ---------------------------------------------------------------------------------------------

  // A turn comes into view when it begins and when it is done; one that grows moves nothing.
  let last = "";
  function showNewest() {
    const turn = $("#pending .turn") ?? $("#conversation .turn:last-child");
    const state = turn ? `${turn.id} ${turn.dataset.question}` : "";
    if (!turn || state === last) return;
    last = state;
    turn.scrollIntoView({ block: "nearest" });
    if (busy()) choose();
    if (turn.dataset.question) history.replaceState(null, "", `?q=${encodeURIComponent(turn.dataset.question)}`);
    keep();
  }

  let heard = "";
  function speak() {
    const stage = $("#pending .stage")?.textContent ?? "";
    const line = stage || (heard ? "The answer is there." : "");
    if (stage !== heard && line) spoken.textContent = line;
    heard = stage;
    const said = $("#said p:not([data-heard])");
    if (said) {
      said.dataset.heard = "yes";
      say(said.textContent);
    }
  }

  // What this tab showed before it was loaded again comes back; else a question in the address is asked.
  let begun = false;
  function begin() {
    if (begun || !$(".opening") || !$("#send") || !$("#chosen textarea")) return;
    begun = true;
    document.body.append(toast, spoken);
    paint(localStorage.getItem("footnote.theme") ?? "");
    const question = new URLSearchParams(location.search).get("q")?.trim().slice(0, box().maxLength);
    const current = read().find((conversation) => conversation.id === sessionStorage.getItem("footnote.current"));
    if (current && (!question || current.turns.at(-1).record.question === question)) return restore(current);
    sessionStorage.removeItem("footnote.current");
    if (question) ask(question);
  }

  let earlier;
  function look() {
    keepChoice();
    begin();
    openReader();
    showNewest();
    bringDrafts();
    speak();
    if ($("#earlier") !== earlier) {
      earlier = $("#earlier");
      showEarlier();
    }
    const target = awaited && $(`#${awaited}`);
    if (target && $(".found", target)) {
      awaited = "";
      target.focus({ preventScroll: true });
      target.scrollIntoView({ block: "nearest" });
    }
  }

  paint(localStorage.getItem("footnote.theme") ?? "");
  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    queueMicrotask(() => {
      waiting = false;
      look();
    });
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
