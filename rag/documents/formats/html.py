"""Extract the article of a web page, without navigation, and the metadata in its head.

Nothing is fetched, and nothing in the page is run. trafilatura extracts the text. Title, publisher, author and date
come only from the metadata fields meant for them: a wrong date under a quote is worse than none.
"""

import codecs
import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rag.documents.formats.plain import BYTE_ORDER_MARKS, PARAGRAPH, Decoded, load_plain
from rag.documents.sources import Overrides
from rag.errors import EmptyDocument, UndecodableText

_HEAD_BYTES = 2048  # a page must declare its encoding within these
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]+)", re.IGNORECASE)
# The encodings that pages may declare, by Python name, mapped to the encoding that browsers use instead.
_ENCODINGS: Mapping[str, str] = {
    **{name: name for name in ("utf-8", "koi8-r", "koi8-u", "gbk", "gb18030", "big5", "euc_jp", "shift_jis", "euc_kr")},
    **{f"cp{n}": f"cp{n}" for n in range(1250, 1259)},
    **{f"iso8859-{n}": f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
}
# Invalid characters, raw and as references; a single one makes the parser lose the rest of the page.
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
_REFERENCE = re.compile(r"&#(?:[xX]([0-9a-fA-F]{1,6})|(\d{1,7}));?")
_TAKEN_BACK = ["//del", "//s", "//strike", "//*[@hidden]"]  # deleted or hidden content
_TABLE_RULE = re.compile(r"[|\s:-]*")  # between the header and the rows of a table
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?!\d)")
_TITLES = ("og:title", "twitter:title", "dc.title", "citation_title")
_PUBLISHERS = ("og:site_name", "dc.publisher", "citation_journal_title")
_AUTHORS = ("author", "article:author", "dc.creator", "citation_author", "parsely-author")
_DATES = (
    "article:published_time",
    "datepublished",
    "date",
    "dc.date",
    "dc.date.issued",
    "dcterms.date",
    "dcterms.issued",
    "citation_publication_date",
    "parsely-pub-date",
    "pubdate",
    "publishdate",
)


def load_html(raw: bytes, path: Path) -> Decoded:
    """Return the article of a page as paragraphs, and the metadata from its head.

    Raises UndecodableText, and EmptyDocument if no text is found.
    """
    import trafilatura  # noqa: PLC0415 - needed for pages only

    page = _decoded(raw, path)
    source = _REFERENCE.sub(_harmless, _NO_TEXT.sub(" ", page.text))
    try:
        article: Any = trafilatura.bare_extraction(
            source, include_comments=False, favor_recall=True, prune_xpath=_TAKEN_BACK
        )
        stated = _stated(source)
    except Exception as error:
        raise UndecodableText(path, "is no web page that can be read; save its text as .txt") from error
    lines = [line for line in (article.text or "").split("\n") if not _TABLE_RULE.fullmatch(line)] if article else []
    if not lines:
        raise EmptyDocument(path, "no text could be taken out of it; save what it shows as .txt")
    return Decoded(PARAGRAPH.join(line.strip() for line in lines), page.encoding, stated)


def _decoded(raw: bytes, path: Path) -> Decoded:
    """Decode by the byte order mark, else by the declared encoding, else as plain text."""
    named = _CHARSET.search(raw[:_HEAD_BYTES])
    if named and not any(raw.startswith(mark) for mark, _ in BYTE_ORDER_MARKS):
        try:
            encoding = _ENCODINGS[codecs.lookup(named.group(1).decode("ascii")).name]
            return Decoded(raw.decode(encoding), encoding)
        except (LookupError, ValueError):
            pass  # pages often declare a wrong encoding
    return load_plain(raw, path)


def _harmless(reference: re.Match[str]) -> str:
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    is_text = number < 0x110000 and not 0xD800 <= number < 0xE000 and not _NO_TEXT.match(chr(number))
    return reference[0] if is_text else " "


def _stated(source: str) -> Overrides:
    """Return the metadata in the head of a page."""
    from lxml import html  # noqa: PLC0415 - needed for pages only

    tree = html.fromstring(source.encode(), parser=html.HTMLParser(encoding="utf-8", no_network=True))
    fields: dict[str, str] = {}
    for meta in tree.iter("meta"):
        name = meta.get("property") or meta.get("name") or meta.get("itemprop") or ""
        if content := " ".join((meta.get("content") or "").split()):
            fields.setdefault(name.strip().lower(), content)
    linked = next(_articles(tree), {})
    publisher = _first(fields, _PUBLISHERS) or _name(linked.get("publisher"))
    title = " ".join(str(next(iter(tree.xpath("//head/title/text()")), "")).split())
    if publisher:  # "Ferry sinks | The Daily Gull"
        title = re.sub(rf"\s+[|·–—-]\s+{re.escape(publisher)}$", "", title)
    dates = [linked.get("datePublished"), *(fields.get(name) for name in _DATES)]
    return Overrides(
        title=_first(fields, _TITLES) or _name(linked.get("headline")) or title or None,
        publisher=publisher,
        author=_first(fields, _AUTHORS) or _name(linked.get("author")),
        date=next(filter(None, map(_date, dates)), None),
    )


def _articles(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield the JSON-LD objects that describe articles (schema.org Article, NewsArticle, Report and so on)."""
    for script in tree.xpath('//script[@type="application/ld+json"]/text()'):
        try:
            said = json.loads(str(script))
        except ValueError:
            continue
        listed = said if isinstance(said, list) else said.get("@graph", [said]) if isinstance(said, dict) else []
        for item in listed if isinstance(listed, list) else []:
            kinds = item.get("@type") if isinstance(item, dict) else None
            if any(str(kind).endswith(("Article", "Posting", "Report")) for kind in _listed(kinds)):
                yield item


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _name(value: Any) -> str | None:
    """Return a JSON-LD name, given as a string, an object with a name, or a list of either."""
    names = [item.get("name") if isinstance(item, dict) else item for item in _listed(value)]
    return ", ".join(" ".join(name.split()) for name in names if isinstance(name, str) and name.strip()) or None


def _first(fields: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((fields[name] for name in names if name in fields and not fields[name].startswith("http")), None)


def _date(text: Any) -> dt.date | None:
    """Return the date a string begins with, as YYYY-MM-DD; None for anything else."""
    found = _DAY.match(text) if isinstance(text, str) else None
    try:
        return dt.date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None
