"""The options of a question as an HTML form; page.js sends its values with each question.

Pure functions from values to strings.
"""

from collections.abc import Sequence

from rag.index import Listed
from rag.web.views.markup import escaped

_MODES = (
    '<fieldset class="modes"><legend>Answer</legend>'
    '<label><input type="radio" name="mode" value="quotes"> in quotes</label>'
    '<label><input type="radio" name="mode" value="written" checked> written by the model</label></fieldset>'
)


def choice_html(documents: Sequence[Listed], *, writes: bool) -> str:
    """Return the form: which documents to search and, if a language model is configured, quotes or a written answer.

    writes: whether a language model is configured.
    """
    every = '<option value="">All documents</option>'
    named = "".join(f'<option value="{escaped(d.source)}">{escaped(d.title)}</option>' for d in documents)
    fields = (
        f'<label>Document <select name="source">{every}{named}</select></label>'
        '<label>Dated from <input type="date" name="since"></label>'
        '<label>until <input type="date" name="until"></label>'
        '<button type="reset">All documents</button>'
    )
    return (
        '<form class="choice" aria-label="Choice of documents"><details><summary>All documents</summary>'
        f'<div class="fields">{fields}</div></details>{_MODES if writes else ""}</form>'
    )


def health_html(trouble: str | None) -> str:
    """Return the state of the language model; trouble: why it does not answer."""
    if trouble is None:
        return '<p class="health">The language model answers.</p>'
    return f'<p class="health bad">{escaped(trouble)}</p>'
