"""The library as HTML: a table of the documents.

Pure functions from values to strings.
"""

from collections.abc import Sequence

from rag.index import Listed
from rag.web.views.markup import counted, dated, escaped, problem

_UNSEEN = '<span class="unseen">Delete</span>'
_COLUMNS = ("Document", "Publisher", "Date", "Passages", "Added", "Left out", "")


def library_html(documents: Sequence[Listed], *, uploaded: Sequence[str], unread: Sequence[str]) -> str:
    """Return the table of documents.

    uploaded: ids of documents whose files belong to the library. unread: uploaded files missing from the index.
    """
    head = "".join(f'<th role="columnheader" scope="col">{name or _UNSEEN}</th>' for name in _COLUMNS)
    rows = "".join(_row(document, is_uploaded=document.doc_id in uploaded) for document in documents)
    table = (
        f'<table role="table"><thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{rows}</tbody></table>'
        if documents
        else '<p class="hint">No documents yet. Add text or Markdown files, and ask about them in a moment.</p>'
    )
    waiting = (
        f"{counted(len(unread), 'uploaded file')} not in the index yet: {', '.join(unread)}. Read the files again."
    )
    return (
        f'<section class="library" aria-label="Documents"><h2>{counted(len(documents), "document")}</h2>'
        f"{problem(waiting) if unread else ''}{table}</section>"
    )


def _row(document: Listed, *, is_uploaded: bool) -> str:
    title = (
        f'<button type="button" class="link title" data-wire="open" data-document="{document.doc_id}" '
        f'aria-haspopup="dialog">{escaped(document.title)}</button> <code>{escaped(document.source)}</code>'
    )
    cells = (
        title,
        escaped(document.publisher or "not known"),
        dated(document.date),
        f"{document.n_passages:,}",
        dated(document.added_at.date()),
        counted(document.n_excluded, "line"),
        _delete(document, is_uploaded=is_uploaded),
    )
    body = "".join(
        f'<td role="cell" data-label="{name}">{cell}</td>' for name, cell in zip(_COLUMNS, cells, strict=True)
    )
    return f'<tr role="row">{body}</tr>'


def _delete(document: Listed, *, is_uploaded: bool) -> str:
    file = "Its file is deleted with it." if is_uploaded else f"Its file stays where it is: {document.root}."
    return (
        f'<button type="button" class="delete" data-wire="delete" data-document="{document.doc_id}" '
        f'data-confirm="Take “{escaped(document.title)}” out of the index? {escaped(file)}" '
        f'aria-label="Delete {escaped(document.title)}">Delete</button>'
    )
