"""Foreign text into HTML: the one place where characters of a document, a question or a message become markup-free.

The views build everything they show of these functions, and write no foreign text without ``escaped``: it arrives as
characters, never as markup, as a link or as a direction change.
"""

import datetime as dt
import html
import json
import time
from collections.abc import Mapping

from rag.text.characters import printable


def escaped(text: str) -> str:
    """Return the text as HTML that displays these characters and does nothing; line ends stay line ends."""
    return html.escape("\n".join(printable(line) for line in text.split("\n")), quote=True)


def kept(record: Mapping[str, object]) -> str:
    """Return a record as JSON for an attribute: character by character what it is, since the browser keeps it."""
    return html.escape(json.dumps(record), quote=True)  # ASCII, so that no character of it acts


def about(publisher: str | None, date: dt.date | None) -> str:
    """Return who published something and when."""
    named = f"{escaped(publisher)}, " if publisher else ""
    return f'<span class="about">{named}{dated(date)}</span>'


def dated(date: dt.date | None) -> str:
    """Return a day in words."""
    return f'<time datetime="{date.isoformat()}">{date.day} {date:%B %Y}</time>' if date else "undated"


def problem(line: str) -> str:
    """Return a line that says what went wrong and what to do."""
    return f'<p class="problem">{escaped(" ".join(line.split()))}</p>'


def said(line: str) -> str:
    """Return a line that the page shows for some seconds and reads out."""
    return anew(f"<p>{escaped(' '.join(line.split()))}</p>")


def anew(markup: str) -> str:
    """Return the same HTML, but new to Gradio, which would otherwise leave in place what was shown before."""
    return f"{markup}<!--{time.monotonic_ns()}-->"


def counted(n: int, noun: str) -> str:
    """Return ``1 line`` or ``2 lines``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
