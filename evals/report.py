"""The report of an evaluation: one HTML file that explains its figures and shows every wrong answer.

Lays out what was measured and judged elsewhere, and measures nothing itself. The file opens offline: style, scripts and
plots are inside, and its policy forbids it to load anything. Whatever comes from documents, questions or models is
escaped by the template. Over 300 lines, as what the page shows of a question belongs together.
"""

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from rag.text.characters import printable

from .gold import Part, Place, Question
from .judge import LOST_AT, Outcome, ReadPassage
from .scores import share

Summary = Mapping[str, Any]

HERE = Path(__file__).parent
HEADLINES = {
    "right": "Right",
    "citation_precision": "Citation precision",
    "over_refusal": "Over-refusal",
    "refusal_recall": "Refusal recall",
    "quotes_exact": "Quotes exact",
}
GROUPS = {
    "overall": "Overall",
    "answers": "Answers",
    "citations": "Citations",
    "abstention": "Refusals and confidence",
    "passages": "Passages read",
    "retrieved": "Sentences, as retrieved",
    "sentences": "Sentences, by probability",
}
BY_KIND = {
    "facts": "All facts",
    "extra_sentences": "Extra sentences",
    "citation_precision": "Citation precision",
    "citation_recall": "Citation recall",
    "passage_all@10": "All evidence in 10 passages",
    "passage_mrr": "Passages: MRR",
    "sentence_recall@1": "Likeliest sentence",
    "sentence_mrr": "Sentences: MRR",
}
AROUND = 400  # characters shown before and after gold evidence, at most
_PARAGRAPH_END = re.compile(r"\n[^\S\n]*\n|(?<=[.!?:\"”’)])\n")  # a line that ends a sentence mostly ends one


@dataclass(frozen=True, slots=True)
class Detail:
    """One question with what became of it.

    record: the ask record, or ``{"id", "error"}``. texts: source -> whole text, of each document that is pointed to.
    """

    question: Question
    outcome: Outcome
    record: Mapping[str, Any]
    read: Sequence[ReadPassage]
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Characters that are marked alike."""

    text: str
    gold: bool
    likeliest: bool = False


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Gold evidence inside its paragraph, or a passage that was read; ``says`` what became of it."""

    place: Place
    stretches: Sequence[Stretch]
    says: str
    holds_gold: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """A wrong answer.

    facts: pattern, and whether the answer has it. citations: of the record, and whether each holds gold evidence.
    evidence: a list of alternatives for each part, the one that came farthest first.
    """

    detail: Detail
    facts: Sequence[tuple[str, bool]]
    citations: Sequence[tuple[Mapping[str, Any], bool]]
    evidence: Sequence[Sequence[Excerpt]]
    passages: Sequence[Excerpt]


def render(summary: Summary, details: Sequence[Detail]) -> str:
    """Return the report as HTML. details: one for each question; wrong ones are shown by stage, then in this order."""
    order = {stage: place for place, stage in enumerate(LOST_AT)}
    wrong = sorted((d for d in details if not d.outcome.right), key=lambda d: order[str(d.outcome.lost_at)])
    metrics = {metric["name"]: metric for metric in summary["metrics"]}
    return _html(
        summary,
        view="report",
        headlines={title: metrics[name] for name, title in HEADLINES.items() if name in metrics},
        groups=_grouped(summary["metrics"]),
        by_kind=BY_KIND,
        stages={stage: says for stage, says in LOST_AT.items() if summary["lost"].get(stage)},
        lower={metric["name"] for metric in summary["metrics"] if metric["better"] == "lower"},
        curve=_tenths(summary["risk_coverage"]),
        widest=_widest(summary["comparison"]),
        plots=_plots(summary),
        plotly=Markup(get_plotlyjs()),  # noqa: S704 - the library's own text, made to stand in a script element
        wrong=list(map(_case, wrong)),
        right=[detail for detail in details if detail.outcome.right],
    )


def render_variants(summaries: Sequence[Summary], folders: Sequence[str]) -> str:
    """Return a page with a row for each variant, linked to ``<folder>/report.html``.

    A figure is called better or worse only where a summary has a comparison with the first one, by paired differences.
    """
    first = summaries[0]["made"]
    return _html(
        summaries[0],
        view="variants",
        groups=_grouped(summaries[0]["metrics"]),
        rows=[
            (folder, s["made"], {metric["name"]: metric for metric in s["metrics"]}, _verdicts(s, first))
            for folder, s in zip(folders, summaries, strict=True)
        ],
    )


def _verdicts(summary: Summary, first: Mapping[str, Any]) -> dict[str, str]:
    """Return metric -> better or worse, where a comparison with the run that ``first`` describes says so."""
    comparison = summary["comparison"]
    if not comparison or (comparison["baseline_on"], comparison["baseline_code"]) != (first["on"], first["code"]):
        return {}
    words = {"gain": "better", "drop": "worse"}
    return {m["name"]: words[m["verdict"]] for m in comparison["metrics"] if m["verdict"] in words}


def _grouped(metrics: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return title of a group -> its metrics, in the order of ``GROUPS``; without those that have none."""
    found: dict[str, list[Mapping[str, Any]]] = {title: [] for title in GROUPS.values()}
    for metric in metrics:
        found[GROUPS[metric["group"]]].append(metric)
    return {title: members for title, members in found.items() if members}


def _widest(comparison: Summary | None) -> float:
    """Return what the scale of differences reaches to: a tenth at least, and every end of an interval."""
    ends = [abs(m[end] or 0.0) for m in (comparison or {"metrics": []})["metrics"] for end in ("low", "high")]
    return max(0.1, math.ceil(20 * max(ends, default=0.0)) / 20)


# -- plots -------------------------------------------------------------------------------------------------------------


def _plots(summary: Summary) -> dict[str, Any]:
    """Return what the script draws. The interval of a bin is that of the share that was right."""
    bins = [{**b, "interval": share(round(b["right"] * b["n"]), b["n"])} for b in summary["reliability"]]
    return {"curve": summary["risk_coverage"], "point": summary["operating_point"], "bins": bins}


def _tenths(curve: Mapping[str, Sequence[float]]) -> list[tuple[float, float]]:
    """Return (coverage, risk) at each tenth of coverage: the first point that reaches it."""
    points = list(zip(curve["coverage"], curve["risk"], strict=True))
    return [next(p for p in points if p[0] >= 0.1 * tenth - 1e-6) for tenth in range(1, 11)] if points else []


# -- wrong answers -----------------------------------------------------------------------------------------------------


def _case(detail: Detail) -> Case:
    question, record, texts = detail.question, detail.record, detail.texts
    gold = [place for part in question.evidence for place in part]
    said = "\n".join(claim["text"] for claim in record.get("claims", ()))
    citations = [(c, Place(c["source"], c["start"], c["end"])) for c in record.get("citations", ())]
    cited = [place for _, place in citations]
    return Case(
        detail,
        facts=[(fact.pattern, bool(fact.search(said))) for fact in question.facts],
        citations=[(citation, _holds_any(place, gold)) for citation, place in citations],
        evidence=[_alternatives(part, cited=cited, read=detail.read, texts=texts) for part in question.evidence],
        passages=[_passage(passage, gold, texts[passage.place.source]) for passage in detail.read],
    )


def _holds_any(unit: Place, places: Iterable[Place]) -> bool:
    return any(unit.holds(place) for place in places)


def _alternatives(
    part: Part, *, cited: Sequence[Place], read: Sequence[ReadPassage], texts: Mapping[str, str]
) -> list[Excerpt]:
    fates = sorted(((*_fate(place, cited, read), place) for place in part), key=lambda fate: fate[0])
    return [_excerpt(place, texts[place.source], fate) for _, fate, place in fates]


def _fate(place: Place, cited: Sequence[Place], read: Sequence[ReadPassage]) -> tuple[int, str]:
    """Return how far gold evidence came, as a number for sorting (0: into the answer) and in words."""
    if _holds_any(place, cited):
        return 0, "quoted"
    rank = next((n for n, passage in enumerate(read, start=1) if passage.place.holds(place)), None)
    if rank is None:
        return len(read) + 1, "in no passage read"
    judged = [s.probability for passage in read for s in passage.sentences if s.place.holds(place)]
    return rank, f"in passage {rank}" + (f", judged {percent(max(judged))} likely" if judged else ", not judged")


def _excerpt(place: Place, text: str, fate: str) -> Excerpt:
    """Return gold evidence with the rest of its paragraph, cut between words where that is long."""
    before, after = text[max(0, place.start - AROUND) : place.start], text[place.end : place.end + AROUND]
    *earlier, before = _PARAGRAPH_END.split(before)
    if not earlier and place.start > AROUND:
        before = "… " + before.partition(" ")[2]
    after, *later = _PARAGRAPH_END.split(after)
    if not later and place.end + AROUND < len(text):
        after = after.rpartition(" ")[0] + " …"
    gold = Stretch(text[place.start : place.end], gold=True)
    return Excerpt(place, [Stretch(before, gold=False), gold, Stretch(after, gold=False)], fate)


def _passage(passage: ReadPassage, gold: Sequence[Place], text: str) -> Excerpt:
    best = max(passage.sentences, key=lambda sentence: sentence.probability, default=None)  # the first of equals
    stretches = _stretches(text, passage.place, gold, best.place if best else None)
    says = f"probability {percent(passage.probability)}"
    return Excerpt(passage.place, stretches, says, _holds_any(passage.place, gold))


def _stretches(text: str, unit: Place, gold: Iterable[Place], likeliest: Place | None = None) -> list[Stretch]:
    """Cut a unit wherever gold evidence or the likeliest sentence begins or ends."""
    here = [place for place in gold if place.source == unit.source]
    marks = [*here, likeliest] if likeliest else here
    inner = {offset for mark in marks for offset in (mark.start, mark.end) if unit.start < offset < unit.end}
    return [
        Stretch(
            text[start:end],
            gold=any(place.start <= start and end <= place.end for place in here),
            likeliest=likeliest is not None and likeliest.start <= start and end <= likeliest.end,
        )
        for start, end in pairwise(sorted({unit.start, unit.end} | inner))
    ]


# -- the page ----------------------------------------------------------------------------------------------------------


def percent(value: float | None, digits: int = 0) -> str:
    """Return a share in percent; only none and all of it are shown as 0% and 100%."""
    if value is None:
        return "–"
    least = 10.0**-digits
    if 0 < value < 1 and not least / 2 <= 100 * value < 100 - least / 2:
        return f"under {least:.{digits}f}%" if value < 0.5 else f"over {100 - least:.{digits}f}%"
    return f"{100 * value:.{0 if value in {0, 1} else digits}f}%"


def number(value: float | None, spec: str = ".3f") -> str:
    """Return a figure as the tables show it: with a true minus sign, and none where it is zero."""
    if value is None:
        return "–"
    shown = format(value, spec)
    return shown.replace("-", "−") if float(shown) else shown.lstrip("+-")


def day(moment: str) -> str:
    """Return ``23 November 2026`` for a moment in ISO 8601."""
    date = dt.datetime.fromisoformat(moment)
    return f"{date.day} {date:%B %Y}"


def _visible(value: object) -> object:
    """Return a foreign text as the product shows it: control and direction-changing characters as U+FFFD."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "\n".join(printable(line) for line in value.split("\n"))


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, number=number, day=day)
    return environment.get_template("report.html.j2")


def _html(summary: Summary, **values: object) -> str:
    css = Markup((HERE / "report.css").read_text(encoding="utf-8"))  # noqa: S704 - ours
    n_questions = sum(kind["n"] for kind in summary["kinds"])
    return _template().render(css=css, summary=summary, n_questions=n_questions, **values)
