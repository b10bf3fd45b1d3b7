"""A turn as Markdown with footnotes, for copying or saving.

Untrusted text is escaped, so that Markdown and HTML in a document appear literally in the copy.
"""

import re

from rag.values import Answer, Citation
from rag.web.turn import Turn

_ACTING = re.compile(r"([\\`*_\[\]<>&~|$])")
_LINE_START = re.compile(r"^(\s*)([-+=#]|\d+[.)])")


def turn_markdown(turn: Turn, number: int) -> str:
    """Return question, reply and footnotes; labels start with the turn's number, so that turns can be concatenated."""
    blocks = [f"## {_plain(turn.question)}"]
    result = turn.result
    if result and result.standalone_question not in {"", turn.question}:
        blocks.append(f"Asked as: {_plain(result.standalone_question)}")
    if turn.scope:
        blocks.append(f"Only {_plain(turn.scope)}")
    if isinstance(result, Answer):
        blocks += [f"{_plain(c.text)} {''.join(_label(n, number) for n in c.citations)}" for c in result.claims]
        blocks += [f"{_label(citation, number)}: {_footnote(citation)}" for citation in result.citations]
    elif result:
        blocks.append(f"No answer. {_plain(result.reason)}")
    else:
        blocks.append(_plain(turn.problem))
    return "\n\n".join(blocks) + "\n"


def _label(citation: Citation, number: int) -> str:
    return f"[^{number}-{citation.marker}]"


def _footnote(citation: Citation) -> str:
    date = citation.date.isoformat() if citation.date else "undated"
    about = ", ".join(_plain(part) for part in (citation.title, citation.publisher, date) if part)
    page = f", page {citation.page}" if citation.page else ""
    place = f"{_plain(citation.source)}{page}, characters {citation.span.start}–{citation.span.end}"
    return f"“{_plain(citation.quote)}” {about}; {place}"


def _plain(text: str) -> str:
    """Return the text on one line, with Markdown syntax escaped."""
    line = " ".join(text.split())
    return _LINE_START.sub(lambda m: f"{m[1]}{m[2][:-1]}\\{m[2][-1]}", _ACTING.sub(r"\\\1", line))
