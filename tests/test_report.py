"""The report of an evaluation: what it says, that it opens offline, and that nothing a document brings runs in it."""

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect

from evals.gold import Place, Question
from evals.judge import Outcome, ReadPassage, ReadSentence
from evals.report import AROUND, Detail, _excerpt, _stretches, number, percent, render, render_variants

HOSTILE = "</style></script><script>document.title='owned'</script><!-- <img src=x onerror=\"document.title='owned'\">"
SOURCE = f"zorblatt {HOSTILE}.txt"
GOLD = f"Mira Quillon won the chess tournament {HOSTILE} of Zorblatt."
OTHER = "The town of Zorblatt lies on a river."
TEXT = f"Zorblatt\n\n{OTHER} {GOLD} It rained.\n\nOn Friday the mayor, Odo Brenn, gave her the cup.\n"
MAYOR = "On Friday the mayor, Odo Brenn, gave her the cup."
HOSTILE_KIND = f'"multi" {HOSTILE}'


def place_of(quote: str) -> Place:
    start = TEXT.index(quote)
    return Place(SOURCE, start, start + len(quote))


# -- made-up questions and figures -------------------------------------------------------------------------------------


def question(
    id_: str, text: str, *, kind: str = "fact", evidence: tuple[tuple[str, ...], ...] = (), **more: Any
) -> Question:
    return Question(
        id=id_,
        split="dev",
        kind=kind,
        question=text,
        history=more.get("history", ()),
        answerable=bool(evidence),
        facts=tuple(re.compile(fact, re.IGNORECASE) for fact in more.get("facts", ())),
        evidence=tuple(tuple(place_of(quote) for quote in part) for part in evidence),
        quotes=evidence,
        note=more.get("note", ""),
    )


def outcome(asked: Question, lost_at: str | None, *, answered: bool = False) -> Outcome:
    return Outcome(
        id=asked.id,
        kind=asked.kind,
        split=asked.split,
        answerable=asked.answerable,
        failed=lost_at == "failed",
        answered=answered,
        right=lost_at is None,
        lost_at=lost_at,
        confidence=0.5,
        confident_right=True,
        scores={},
        timings_ms={},
    )


def answer(*quotes: str, standalone: str = "") -> dict[str, Any]:
    cited = [(number, quote, place_of(quote)) for number, quote in enumerate(quotes, start=1)]
    return {
        "standalone_question": standalone,
        "mode": "quotes",
        "answered": True,
        "claims": [{"text": quote, "citations": [number]} for number, quote, _ in cited],
        "removed": [],
        "citations": [
            {
                "marker": number,
                "source": SOURCE,
                "title": HOSTILE,
                "start": place.start,
                "end": place.end,
                "quote": quote,
            }
            for number, quote, place in cited
        ],
        "reason": None,
        "stage": None,
    }


def refusal(reason: str) -> dict[str, Any]:
    return {**answer(), "answered": False, "reason": reason, "stage": "evidence"}


READ = (
    ReadPassage(
        Place(SOURCE, TEXT.index(OTHER), TEXT.index("It rained.") + 10),
        0.41,
        (
            ReadSentence(place_of(OTHER), 0.41),
            ReadSentence(place_of(GOLD), 0.07),
            ReadSentence(place_of("It rained."), 0.0),
        ),
    ),
    ReadPassage(place_of(MAYOR), 0.002, (ReadSentence(place_of(MAYOR), 0.002),)),
)


def detail(
    asked: Question, record: dict[str, Any], lost_at: str | None, *, read: tuple[ReadPassage, ...] = READ
) -> Detail:
    return Detail(asked, outcome(asked, lost_at, answered=record.get("answered", False)), record, read, {SOURCE: TEXT})


def details() -> list[Detail]:
    who = question("who", f"Who won {HOSTILE}?", evidence=((GOLD,),), facts=("Quillon",), note=HOSTILE)
    both = question(
        f"both {HOSTILE}",
        "And who gave it to whom?",
        kind=HOSTILE_KIND,
        history=(("Who won?", HOSTILE),),
        evidence=((OTHER, GOLD), (MAYOR,)),
        facts=("Quillon", "Brenn|</script> nowhere"),
    )
    absent = question("absent", "What did the cup cost?", kind="near-miss", note="No price is named.")
    broken = question("broken", "Who keeps the cup?", evidence=((MAYOR,),))
    right = question("right", "Who is the mayor?", evidence=((MAYOR,),))
    refused = question("refused", "Who won the year before?", kind="near-miss")
    return [
        detail(absent, answer(MAYOR), "answer"),
        detail(right, answer(MAYOR), None),
        detail(who, refusal(f"Not sure enough {HOSTILE}."), "refuse"),
        detail(both, answer(GOLD, standalone="Who gave the cup to whom?"), "select", read=READ[:1]),
        detail(broken, {"id": "broken", "error": f"the model is gone {HOSTILE}"}, "failed", read=()),
        detail(refused, refusal("Nothing about it."), None),
    ]


def metric(name: str, group: str, label: str, value: float | None, **more: Any) -> dict[str, Any]:
    ends = (
        {"low": None, "high": None} if value is None else {"low": max(0.0, value - 0.1), "high": min(1.0, value + 0.1)}
    )
    known = {"says": f"what {label} says", "n": 6, "better": "higher", "must_be": None}
    return {"name": name, "group": group, "label": label, "value": value, **ends, **known, **more}


def group(name: str, value: str, n: int, lost: dict[str, int]) -> dict[str, Any]:
    share = {"value": 1 - sum(lost.values()) / n, "low": 0.1, "high": 0.9}
    return {name: value, "n": n, "right": share, "refused": 0.25, "lost": lost, "scores": {"facts": 0.875}}


def summary(**more: Any) -> dict[str, Any]:
    lost = {"failed": 1, "refuse": 1, "select": 1, "answer": 1}
    return {
        "format": 1,
        "made": {
            "on": "2026-11-23T20:00:00+00:00",
            "seconds": 41.2,
            "code": "0123456789ab",
            "gold": {"file": "made-up.jsonl", "sha256": "00ff"},
            "documents": 1,
            "settings": {"top_k": 12, "note": HOSTILE},
            "settings_hash": "ba9876543210",
            "models": {"encoder": "hashing", "evidence": "made-up"},
            "variant": "retrieval=fused, evidence=baseline",
        },
        "metrics": [
            metric("right", "overall", "right", 1 / 3),
            metric("citation_precision", "citations", "precision", 0.5),
            metric("quotes_exact", "citations", "quotes exact", 1.0, must_be=1.0),
            metric("over_refusal", "abstention", "over-refusal", 0.25, better="lower"),
            metric("auroc", "abstention", "AUROC", None),
            metric("passage_recall@1", "passages", "recall@1", 0.75),
        ],
        "kinds": [
            group("kind", "near-miss", 2, {"answer": 1}),
            group("kind", "fact", 3, {"failed": 1, "refuse": 1}),
            group("kind", HOSTILE_KIND, 1, {"select": 1}),
        ],
        "splits": [group("split", "dev", 6, lost)],
        "lost": lost,
        "risk_coverage": {"coverage": [n / 6 for n in range(1, 7)], "risk": [0.0, 0.0, 0.333, 0.25, 0.4, 0.5]},
        "operating_point": {"coverage": 0.5, "risk": 0.667},
        "reliability": [
            {"low": 0.4, "high": 0.5, "n": 4, "probability": 0.41, "right": 0.25},
            {"low": 0.9, "high": 1.0, "n": 2, "probability": 0.95, "right": 1.0},
        ],
        "cost_ms": {"retrieve": {"p50": 12.1, "p95": 20.3}, "total": {"p50": 13.0, "p95": 21.0}},
        "comparison": None,
        **more,
    }


def comparison(*, passed: bool, **more: Any) -> dict[str, Any]:
    def difference(
        name: str, label: str, low: float, high: float, verdict: str, *, guarded: bool = True
    ) -> dict[str, Any]:
        numbers = {"old": 0.5, "new": 0.4, "difference": (low + high) / 2, "low": low, "high": high}
        return {"name": name, "label": label, **numbers, "guarded": guarded, "verdict": verdict}

    return {
        "baseline_on": "2026-11-20T08:00:00+00:00",
        "baseline_code": "ffff00001111",
        "n": 5,
        "not_compared": 1,
        "missing": 0,
        "differs": [],
        "metrics": [
            difference("right", "right", -0.32, -0.1, "same" if passed else "drop"),
            difference("over_refusal", "over-refusal", -0.2, -0.1, "gain"),
            difference("auroc", "AUROC", -0.1, 0.1, "same", guarded=False),
        ],
        "passed": passed,
        **more,
    }


# -- reading it back ---------------------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """What is in a page: its elements with their attributes, and its text outside of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, text: str) -> None:
        if self._inside not in {"script", "style"}:
            self.text += text

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def html() -> str:
    return render(summary(comparison=comparison(passed=False)), details())


@pytest.fixture(scope="module")
def elements(html: str) -> Elements:
    return Elements(html)


# -- what it says ------------------------------------------------------------------------------------------------------


def test_nothing_in_it_leads_out_of_the_file(elements: Elements) -> None:
    attributes = [value for _, attributes in elements.found for value in attributes.items()]
    assert not [value for name, value in attributes if name in {"src", "srcset", "action", "data", "poster"}]
    assert {str(value)[0] for name, value in attributes if name == "href"} == {"#"}
    (policy,) = [meta["content"] for meta in elements.all("meta") if "http-equiv" in meta]
    assert str(policy).startswith(
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
    )


def test_every_link_inside_has_its_target(elements: Elements) -> None:
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"] for link in elements.all("a")} <= {f"#{id_}" for id_ in ids}


def test_foreign_text_arrives_as_characters(elements: Elements) -> None:
    assert not elements.all("img")
    assert len(elements.all("script")) == 5  # the class for CSS, the filter, the figures, plotly, the plots
    for words in (f"Who won {HOSTILE}?", f"the model is gone {HOSTILE}", f"Not sure enough {HOSTILE}.", SOURCE, GOLD):
        assert words in elements.text
    assert elements.text.count(HOSTILE) > 20


def test_direction_changes_and_broken_characters_are_shown_and_do_nothing() -> None:
    asked = question("odd", "a\u202eb\x00c\ud800d", kind="fact")
    html = render(summary(), [detail(asked, answer(MAYOR), "answer")])
    assert "a\ufffdb\ufffdc\ufffdd" in html
    html.encode("utf-8")


def test_figures_of_plots_cannot_end_their_script() -> None:
    shown = summary()
    shown["reliability"][0]["note"] = HOSTILE
    html = render(shown, details())
    embedded = html.partition('id="plots">')[2].partition("</script>")[0]
    plots = json.loads(embedded)
    assert plots["bins"][0]["note"] == HOSTILE
    assert plots["curve"] == shown["risk_coverage"]
    assert plots["bins"][0]["interval"]["low"] < 0.25 < plots["bins"][0]["interval"]["high"]


def test_the_first_figure_is_the_share_that_came_out_right(elements: Elements) -> None:
    assert "2 of 6 questions came out right" in elements.text
    assert elements.text.index("33%") < elements.text.index("50.0%") < elements.text.index("25.0%")
    assert "23.3% to 43.3%" in elements.text
    assert "23 November 2026, 20:00 UTC" in elements.text


def test_a_failed_comparison_names_what_dropped(elements: Elements) -> None:
    assert "Failed. Worse than before: right." in elements.text
    assert "20 November 2026" in elements.text
    assert "−0.210" in elements.text
    assert "−0.35 to +0.35" in elements.text


def test_a_passed_comparison_says_so() -> None:
    text = Elements(render(summary(comparison=comparison(passed=True)), details())).text
    assert "Passed." in text
    assert "Failed." not in text


def test_without_a_baseline_nothing_is_compared() -> None:
    assert "Against the run" not in render(summary(), details())


def test_wrong_answers_come_in_the_order_of_the_pipeline(elements: Elements) -> None:
    cases = [article for article in elements.all("article") if article["class"] == "case"]
    assert [case["data-stage"] for case in cases] == ["failed", "refuse", "select", "answer"]
    assert [case["data-kind"] for case in cases] == ["fact", "fact", HOSTILE_KIND, "near-miss"]


def test_nothing_wrong_nothing_answered_and_nothing_known_can_be_shown() -> None:
    unknown = {"value": None, "low": None, "high": None}
    empty = summary(
        kinds=[{"kind": "fact", "n": 1, "right": unknown, "refused": None, "lost": {}, "scores": {}}],
        splits=[],
        lost={},
        risk_coverage={"coverage": [], "risk": []},
        operating_point={"coverage": 0.0, "risk": None},
        reliability=[],
        cost_ms={},
    )
    for figure in empty["metrics"]:
        figure.update(unknown)
    text = Elements(render(empty, [])).text
    assert "None is lost." in text
    assert "As it is set" not in text


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [(0.0, 0, "0%"), (0.001, 0, "under 1%"), (0.004, 1, "0.4%"), (0.444, 1, "44.4%"), (0.999, 0, "over 99%"),
     (1.0, 1, "100%"), (None, 0, "–")],
)  # fmt: skip
def test_a_share_is_shown_as_none_or_all_only_if_it_is(value: float | None, digits: int, shown: str) -> None:
    assert percent(value, digits) == shown


@pytest.mark.parametrize(
    ("value", "spec", "shown"),
    [(0.12345, ".3f", "0.123"), (-0.5, "+.3f", "−0.500"), (-0.0001, "+.3f", "0.000"), (0.5, "+.1f", "+0.5"),
     (None, ".3f", "–")],
)  # fmt: skip
def test_a_figure_has_a_true_minus_and_zero_no_sign(value: float | None, spec: str, shown: str) -> None:
    assert number(value, spec) == shown


# -- evidence in its source --------------------------------------------------------------------------------------------


def test_evidence_stands_in_its_paragraph() -> None:
    before, gold, after = _excerpt(place_of(GOLD), TEXT, "").stretches
    assert (before.text, gold.text, after.text) == (f"{OTHER} ", GOLD, " It rained.")
    assert [before.gold, gold.gold, after.gold] == [False, True, False]


def test_a_line_that_ends_a_sentence_ends_a_paragraph_and_a_wrapped_one_does_not() -> None:
    text = "One ends.\nTwo is\nwrapped here. Three.\nFour."
    start = text.index("wrapped")
    before, gold, after = _excerpt(Place("a.txt", start, start + 13), text, "").stretches
    assert (before.text, gold.text, after.text) == ("Two is\n", "wrapped here.", " Three.")


def test_a_long_paragraph_is_cut_between_words() -> None:
    text = "word " * 200 + "GOLD" + " more" * 200
    before, gold, after = _excerpt(Place("a.txt", 1000, 1004), text, "").stretches
    assert gold.text == "GOLD"
    assert re.fullmatch("… (word )+", before.text)
    assert re.fullmatch("( more)+ …", after.text)
    assert max(len(before.text), len(after.text)) <= AROUND + 2


@given(text=st.text(alphabet="ab. \n", min_size=1), data=st.data())
def test_an_excerpt_never_changes_a_character(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    before, gold, after = (stretch.text for stretch in _excerpt(Place("a", start, end), text, "").stretches)
    assert gold == text[start:end]
    assert text[:start].endswith(before.removeprefix("… "))
    assert text[end:].startswith(after.removesuffix(" …"))


@given(data=st.data())
def test_stretches_of_a_passage_join_to_its_text_and_mark_what_they_should(data: st.DataObject) -> None:
    text = "abcdefghijklmnop"

    def place() -> Place:
        start = data.draw(st.integers(0, len(text) - 1))
        return Place("a", start, data.draw(st.integers(start + 1, len(text))))

    unit, gold, likeliest = place(), [place(), place()], place()
    stretches = _stretches(text, unit, [*gold, Place("other", 0, 16)], likeliest)
    assert "".join(stretch.text for stretch in stretches) == text[unit.start : unit.end]
    at = unit.start
    for stretch in stretches:
        for offset in range(at, at + len(stretch.text)):
            assert stretch.gold == any(part.start <= offset < part.end for part in gold)
            assert stretch.likeliest == (likeliest.start <= offset < likeliest.end)
        at += len(stretch.text)


# -- variants ----------------------------------------------------------------------------------------------------------


def variant(name: str, **more: Any) -> dict[str, Any]:
    shown = deepcopy(summary(**more))
    shown["made"]["variant"] = name
    return shown


def test_variants_stand_in_rows_that_link_to_their_reports() -> None:
    page = Elements(
        render_variants([variant("retrieval=fused"), variant(f"note={HOSTILE}")], ["a_b", "javascript:x y"])
    )
    assert [link["href"] for link in page.all("a")] == ["a_b/report.html", "javascript%3Ax%20y/report.html"]
    assert HOSTILE in page.text
    assert len(page.all("script")) == 0
    assert page.text.count("0.233 to 0.433") == 2
    assert [cell.get("scope") for cell in page.all("th")].count("row") == 2


def test_no_variant_is_called_better_without_a_paired_comparison() -> None:
    of_another_run = variant("retrieval=dense", comparison=comparison(passed=False))
    page = render_variants([variant("retrieval=fused"), of_another_run], ["a", "b"])
    assert not re.search(">(better|worse)<", page)


def test_a_variant_compared_with_the_first_is_called_better_or_worse() -> None:
    made = summary()["made"]
    with_first = comparison(passed=False, baseline_on=made["on"], baseline_code=made["code"])
    page = render_variants([variant("retrieval=fused"), variant("retrieval=dense", comparison=with_first)], ["a", "b"])
    assert re.findall(">(better|worse)<", page) == ["worse", "better"]  # right fell, and so did over-refusal


# -- in the browser ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(html: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(html, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def open_report(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Open the report in a page that may ask for nothing but the file, and must not complain."""
    pages: list[Page] = []
    requested: list[str] = []
    complaints: list[str] = []

    def open_(*, width: int = 1280, **more: Any) -> Page:
        page = browser.new_context(viewport={"width": width, "height": 900}, **more).new_page()
        pages.append(page)
        page.on("request", lambda request: requested.append(request.url))
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        return page

    yield open_
    for page in pages:
        assert page.title() == "Footnote evaluation, 23 November 2026"  # what the documents bring would change it
        page.context.close()
    assert set(requested) == {address}
    assert not complaints


def shown(page: Page) -> list[str]:
    return [str(case.get_attribute("data-stage")) for case in page.locator(".case:visible").all()]


def test_the_plots_are_drawn_in_the_colours_of_the_page(open_report: Callable[..., Page]) -> None:
    page = open_report(color_scheme="light")
    for plot in ("#risk-coverage", "#reliability"):
        expect(page.locator(f"{plot} svg.main-svg").first).to_be_visible()
    expect(page.locator("#reliability .bars .point")).to_have_count(2)
    curve = page.locator("#risk-coverage .scatterlayer path.js-line").first
    expect(curve).to_have_css("stroke", "rgb(31, 85, 130)")
    page.emulate_media(color_scheme="dark")
    expect(curve).to_have_css("stroke", "rgb(156, 198, 236)")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(curve).to_have_css("stroke", "rgb(31, 85, 130)")
    expect(page.locator("#risk-coverage svg.main-svg").first).to_have_attribute("width", "600")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(curve).to_have_css("stroke", "rgb(156, 198, 236)")
    expect(page.locator("#risk-coverage svg.main-svg").first).not_to_have_attribute("width", "600")


def test_wrong_answers_are_filtered_by_stage_kind_and_words(open_report: Callable[..., Page]) -> None:
    page = open_report()
    said = page.locator("#n-shown")
    assert shown(page) == ["failed", "refuse", "select", "answer"]
    page.get_by_role("combobox", name="Lost at").select_option("refuse")
    assert shown(page) == ["refuse"]
    expect(said).to_have_text("1 of 4 shown")
    page.get_by_role("combobox", name="Kind").select_option("near-miss")
    assert shown(page) == []
    page.get_by_role("button", name="Show all").click()
    assert len(shown(page)) == 4
    page.get_by_role("searchbox", name="Words").fill("CUP cost")
    assert shown(page) == ["answer"]
    page.get_by_role("searchbox", name="Words").fill("")
    page.get_by_role("combobox", name="Kind").select_option(HOSTILE_KIND)
    assert shown(page) == ["select"]


def test_stages_and_kinds_lead_to_their_answers_from_the_keyboard(open_report: Callable[..., Page]) -> None:
    page = open_report()
    page.locator(".stages").get_by_role("link", name="select").press("Enter")
    assert shown(page) == ["select"]
    page.locator(".matrix").get_by_role("link", name="fact", exact=True).press("Enter")
    assert shown(page) == ["failed", "refuse"]
    page.get_by_role("link", name="1 of kind fact lost at refuse").press("Enter")
    assert shown(page) == ["refuse"]
    expect(page.locator("#wrong-title")).to_be_in_viewport()


def test_a_wrong_answer_is_shown_with_its_evidence_and_what_was_read(open_report: Callable[..., Page]) -> None:
    case = open_report().locator('.case[data-stage="select"]')
    expect(case.locator(".turns")).to_contain_text(HOSTILE)
    expect(case.locator(".head")).to_contain_text("Asked as: Who gave the cup to whom?")
    expect(case.locator(".said .quote")).to_have_text(f"{GOLD}\u00a0[1]")
    expect(case.locator(".said .place")).to_contain_text("gold evidence")
    assert case.locator(".facts span").all_text_contents() == ["✓ in the answer", "✗ not in the answer"]
    first, second = case.locator(".evidence").all()
    assert first.locator("mark").first.text_content() == GOLD  # of the alternatives, the one that was quoted
    expect(first.locator(".place b").first).to_have_text("quoted")
    expect(first.locator("details mark")).to_be_hidden()
    assert first.locator("details mark").text_content() == OTHER
    expect(first.locator("details .place b")).to_have_text("in passage 1, judged 41% likely")
    expect(second.locator(".place b")).to_have_text("in no passage read")
    read = case.locator(".read")
    expect(read.locator("blockquote")).to_be_hidden()
    read.locator("summary").press("Enter")
    expect(read.locator("li")).to_contain_text("probability 41% · gold evidence")
    assert read.locator("mark.likeliest").all_text_contents() == [OTHER]
    assert GOLD in read.locator("mark.gold").all_text_contents()


def test_refusals_and_failures_are_told_apart(open_report: Callable[..., Page]) -> None:
    page = open_report()
    expect(page.locator('.case[data-stage="refuse"] .refusal')).to_contain_text("Not sure enough")
    expect(page.locator('.case[data-stage="failed"] .failure')).to_contain_text("the model is gone")
    expect(page.locator('.case[data-stage="failed"]')).to_contain_text("No passage was read.")
    expect(page.locator('.case[data-stage="answer"] .wanted')).to_contain_text("A refusal")


def test_the_page_never_scrolls_sideways(open_report: Callable[..., Page]) -> None:
    page = open_report()
    page.evaluate("document.querySelectorAll('details').forEach((folded) => { folded.open = true; })")
    for width in (360, 768, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_everything_is_there_without_scripts(open_report: Callable[..., Page]) -> None:
    page = open_report(java_script_enabled=False)
    expect(page.locator(".case:visible")).to_have_count(4)
    expect(page.locator(".filters")).to_be_hidden()
    expect(page.locator(".plot").first).to_be_hidden()
    page.locator("#confidence summary").first.click()
    expect(page.locator("#confidence table").first).to_contain_text("66.7%")
