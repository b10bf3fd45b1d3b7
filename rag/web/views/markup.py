"""Escapes untrusted text for HTML: documents, questions and messages all pass through here.

The views are built from these functions and output no untrusted text without ``escaped``, so it is displayed as plain
characters and never acts as markup, a link or a change of text direction.
"""

import datetime as dt
import html
import json
import time
from collections.abc import Mapping

from rag.text.characters import printable


def escaped(text: str) -> str:
    """Return the text as HTML that displays exactly these characters; line ends are kept."""
    return html.escape("\n".join(printable(line) for line in text.split("\n")), quote=True)


def kept(record: Mapping[str, object]) -> str:
    """Return a record as JSON for an attribute; the text is not cleaned, since the browser stores the record."""
    return html.escape(json.dumps(record), quote=True)  # json.dumps gives ASCII, so no special character gets through


def about(publisher: str | None, date: dt.date | None) -> str:
    """Return the publisher and the date."""
    named = f"{escaped(publisher)}, " if publisher else ""
    return f'<span class="about">{named}{dated(date)}</span>'


def dated(date: dt.date | None) -> str:
    """Return a day in words."""
    return f'<time datetime="{date.isoformat()}">{date.day} {date:%B %Y}</time>' if date else "undated"


def problem(line: str) -> str:
    """Return a line that says what went wrong and what to do."""
    return f'<p class="problem">{escaped(" ".join(line.split()))}</p>'


def said(line: str) -> str:
    """Return a line that the page shows for a few seconds and screen readers announce."""
    return anew(f"<p>{escaped(' '.join(line.split()))}</p>")


def anew(markup: str) -> str:
    """Return the HTML made unique, because Gradio does not update a component whose value is unchanged."""
    return f"{markup}<!--{time.monotonic_ns()}-->"


def counted(n: int, noun: str) -> str:
    """Return ``1 line`` or ``2 lines``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
