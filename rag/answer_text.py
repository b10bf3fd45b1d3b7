"""Answers, refusals and found passages as plain text, for terminals and for programs that show text or Markdown."""

from rag.text.characters import printable
from rag.values import Answer, Citation, Hit, Result, Span, percent

_SNIPPET_CHARS = 240
REFUSED = "No answer. "
NEAREST = "Nearest, with the probability that it answers:"
_FOOTNOTES = "Sources:"


def plain_text(result: Result) -> str:
    """Return an answer with its footnotes below it, or a refusal, for a program that shows text or Markdown."""
    if isinstance(result, Answer):
        paragraphs = [result.text, "\n".join([_FOOTNOTES, *(f"- {footnote(cited)}" for cited in result.citations)])]
    else:
        paragraphs = [REFUSED + printable(result.reason)]
        if result.nearest:
            paragraphs.append("\n".join([NEAREST, *(f"- {_hit_line(hit)}" for hit in result.nearest)]))
    return "\n\n".join([*paragraphs, *filter(None, [printable(result.notice)])])


def answer_in(text: str) -> str:
    """Return the answer text from the output of ``plain_text``, without footnotes; empty for a refusal."""
    return "" if text.startswith(REFUSED) else text.rpartition(f"\n\n{_FOOTNOTES}\n")[0] or text


def footnote(citation: Citation) -> str:
    """Return a footnote on one line: its number, what is known about the source, the position."""
    about = [citation.title, citation.publisher, citation.date.isoformat() if citation.date else "undated"]
    about += [f"page {citation.page}"] if citation.page else []
    known = ", ".join(part for part in about if part)
    return f"[{citation.marker}] {printable(known)}  {printable(_place(citation.source, citation.span))}"


def _hit_line(hit: Hit) -> str:
    return f"{hit_place(hit)} ({score(hit)}): {snippet(hit)}"


def hit_place(hit: Hit) -> str:
    """Return the position of a hit as SOURCE:START-END."""
    return printable(_place(hit.passage.source, hit.span))


def score(hit: Hit) -> str:
    """Return the probability of a hit if it was read, else its ranking score."""
    return percent(hit.score) if hit.sentence else f"{hit.score:.4f}"


def snippet(hit: Hit) -> str:
    """Return the nearest sentence, or the beginning of the passage."""
    text = printable(hit.text)
    return text if hit.sentence or len(text) <= _SNIPPET_CHARS else text[:_SNIPPET_CHARS].rsplit(" ", 1)[0] + " …"


def _place(source: str, span: Span) -> str:
    return f"{source}:{span}"
