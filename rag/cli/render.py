"""Renders values as text for a terminal. Text from documents is shown as plain characters, never as control codes."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from rag.answer_text import NEAREST, REFUSED, footnote, hit_place, score, snippet
from rag.documents import Prepared
from rag.errors import DocumentError
from rag.gate import ClaimCheck
from rag.index import IngestReport
from rag.records import Record, VerdictRecord, VerifyRecord
from rag.text.characters import printable
from rag.values import Abstention, Answer, Claim, Exclusion, Hit, Removed, Result


def result_text(result: Result) -> RenderableType:
    """Return an answer with its footnotes, or a refusal with the nearest passages."""
    rewritten = []
    if result.standalone_question != result.question:
        rewritten = [Text(f"Asked as: {printable(result.standalone_question)}\n", style="dim")]
    beside = [Text(f"\n{printable(result.notice)}", style="dim")] if result.notice else []
    beside += [_removed(item) for item in result.removed]
    if isinstance(result, Answer):
        claims = [_claim(claim) for claim in result.claims]
        return Group(*rewritten, *claims, Text(), *(Text(footnote(c), style="dim") for c in result.citations), *beside)
    return Group(*rewritten, _refusal(result), *beside)


def _removed(item: Removed) -> Text:
    because = f"{item.fault}: {printable(item.detail)}" if item.detail else item.fault
    return Text(f"Taken out ({because}): {printable(item.text)}", style="dim")


def _claim(claim: Claim) -> Text:
    """Return a claim with its markers; if it is a quote, the short answer in it is bold."""
    text = Text(printable(claim.text))  # keeps the number of characters, so offsets stay valid
    first = claim.citations[0]
    if first.answer and first.quote == claim.text:
        text.stylize("bold", first.answer.start - first.span.start, first.answer.end - first.span.start)
    return text.append(f" {''.join(f'[{c.marker}]' for c in claim.citations)}")


def _refusal(abstention: Abstention) -> RenderableType:
    lines: list[RenderableType] = [Text(f"{REFUSED}{printable(abstention.reason)}")]
    if abstention.nearest:
        lines += [Text(f"\n{NEAREST}"), hits_text(abstention.nearest)]
    return Group(*lines)


def hits_text(hits: Sequence[Hit]) -> RenderableType:
    """Return found passages, one paragraph each."""
    if not hits:
        return Text("Nothing found.")
    return Group(*(_hit(hit) for hit in hits))


def _hit(hit: Hit) -> RenderableType:
    head = Text(f"{hit.rank:>2}. {hit_place(hit)}  {score(hit)}", style="bold")
    return Group(head, Padding(Text(snippet(hit)), (0, 0, 0, 4), expand=False))


def verdicts_text(verdicts: Sequence[ClaimCheck]) -> RenderableType:
    """Return a line for each claim, followed by its faults."""
    if not verdicts:
        return Text("No claims to check.")
    return Group(*map(_verdict, verdicts))


def _verdict(verdict: ClaimCheck) -> Text:
    text = Text("fails   " if verdict.faults else "stands  ", style="bold" if verdict.faults else "")
    text.append(printable(verdict.claim or verdict.question))
    for fault in verdict.faults:
        text.append(f"\n        {printable(fault)}")
    return text


def verdicts_record(verdicts: Sequence[ClaimCheck]) -> Record:
    """Return whether all claims stand, and the faults of each; the claim "" stands for the record itself."""
    found = [
        VerdictRecord(question=v.question, claim=v.claim, stands=not v.faults, faults=list(v.faults)) for v in verdicts
    ]
    return VerifyRecord(stands=all(each.stands for each in found), verdicts=found).model_dump()


def report_text(report: IngestReport) -> RenderableType:
    """Return a summary of an ingest on one line."""
    counts = [
        f"{len(sources)} {what}"
        for what in ("added", "updated", "unchanged", "removed", "failed")
        if (sources := getattr(report, what)) or what == "added"
    ]
    return Text(f"{', '.join(counts)}; {report.n_embedded:,} texts embedded; index version {report.index_version}")


def report_record(report: IngestReport) -> Record:
    """Return the record of an ingest."""
    return {
        "added": list(report.added),
        "updated": list(report.updated),
        "unchanged": list(report.unchanged),
        "removed": list(report.removed),
        "failed": [{"path": path, "error": line} for path, line in report.failed],
        "n_embedded": report.n_embedded,
        "index_version": report.index_version,
    }


def preview_text(previews: Sequence[Prepared | DocumentError]) -> RenderableType:
    """Return, for each readable document: title, date, passages, and every excluded line with its rule."""
    return Group(*(_preview(item) for item in previews if isinstance(item, Prepared)))


def _preview(item: Prepared) -> RenderableType:
    document = item.document
    date = document.date.isoformat() if document.date else "not known"
    because = {name: f" (inferred: {printable(reason)})" for name, reason in document.inferred.items()}
    lines = [
        Text(printable(document.source), style="bold"),
        Text(f"  title      {printable(document.title)}{because.get('title', '')}"),
        Text(f"  publisher  {printable(document.publisher or 'not known')}{because.get('publisher', '')}"),
        Text(f"  date       {date}{because.get('date', '')}"),
        Text(f"  passages   {len(item.passages)}"),
        Text(f"  left out   {len(item.excluded)} lines"),
    ]
    lines += [_excluded(exclusion, document.text) for exclusion in item.excluded]
    return Group(*lines, Text())


def _excluded(exclusion: Exclusion, text: str) -> Text:
    line = f"    {exclusion.rule:<22} {exclusion.span!s:<12} {printable(exclusion.span.cut(text))}"
    return Text(line, style="dim", no_wrap=True, overflow="ellipsis")


def preview_record(previews: Sequence[Prepared | DocumentError]) -> Record:
    """Return the contents of ``preview_text`` as a record, with the reason for each rule."""
    return {"documents": [_preview_record(item) for item in previews]}


def _preview_record(item: Prepared | DocumentError) -> Record:
    if isinstance(item, DocumentError):
        return {"path": str(item.path), "error": str(item)}
    document = item.document
    return {
        "source": document.source,
        "title": document.title,
        "publisher": document.publisher,
        "author": document.author,
        "date": document.date.isoformat() if document.date else None,
        "inferred": dict(document.inferred),
        "passages": [{"start": p.span.start, "end": p.span.end, "heading": p.heading} for p in item.passages],
        "excluded": [
            {
                "start": x.span.start,
                "end": x.span.end,
                "text": x.span.cut(document.text),
                "rule": x.rule,
                "reason": x.reason,
            }
            for x in item.excluded
        ],
    }
