"""What a reader can choose beside the question, as an HTML form; page.js hands its values on with each question.

Pure functions from values to strings; knows nothing about Gradio, the index or the browser. ``rag.web.page`` calls it.
"""

from collections.abc import Sequence

from rag.catalog import Listed
from rag.web.markup import shown


def choice_html(documents: Sequence[Listed], *, writes: bool, trouble: str | None = None) -> str:
    """Return the form: which documents are asked, and in which words, if there is a choice.

    writes: whether a language model is configured. trouble: why it does not answer.
    """
    every = '<option value="">All documents</option>'
    named = "".join(f'<option value="{shown(d.source)}">{shown(d.title)}</option>' for d in documents)
    fields = (
        f'<label>Document <select name="source">{every}{named}</select></label>'
        '<label>Dated from <input type="date" name="since"></label>'
        '<label>until <input type="date" name="until"></label>'
        '<button type="reset">All documents</button>'
    )
    return (
        '<form class="choice" aria-label="Choice of documents"><details><summary>All documents</summary>'
        f'<div class="fields">{fields}</div></details>{_modes(trouble) if writes else ""}</form>'
    )


def _modes(trouble: str | None) -> str:
    health = f'<span class="health bad">{shown(trouble)}</span>' if trouble else '<span class="health">ready</span>'
    return (
        '<fieldset class="modes"><legend>Answer</legend>'
        '<label><input type="radio" name="mode" value="quotes" checked> in quotes</label>'
        f'<label><input type="radio" name="mode" value="written"> written by the model</label> {health}</fieldset>'
    )
