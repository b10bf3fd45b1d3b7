"""Build prompts from the prompt files, with questions and passages that cannot break out of their place.

    write_prompt("Who won?", pack(sources, max_tokens=room))     # best source first; passages are numbered from 1

The files are in ``prompts/``; their variables are checked on first read, so that a misspelt one cannot reach a model.

Text from documents and users is sanitised here for the prompt only; offsets and citations refer to the original.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from string import Template

from rag.errors import InvalidValue
from rag.gate import unmarked
from rag.text.tokens import MIN_LIMIT, token_limit
from rag.values import Document, Fault, History, Passage, Removed, Source, Span
from rag.writing.model_refusals import REFUSAL

ANSWER_TOKENS = 300  # enough for four sentences
SPARE = 1.25  # other tokenizers count up to a quarter more than tiktoken's o200k_base in European languages
MAX_TURNS = 3  # earlier turns shown with a follow-up; it rarely refers further back
MAX_TOLD_CHARS = 500  # shown of each earlier question and answer

VARIABLES = {
    "write": frozenset({"passages", "question", "refusal"}),
    "repair": frozenset({"passages", "question", "faults", "refusal"}),
    "condense": frozenset({"history", "question"}),
}
FAULTS: dict[Fault, str] = {
    "uncited": "it does not end with the number of a passage",
    "fabricated": "there is no passage of that number",
    "misquoted": "the words in quotation marks do not stand in that passage",
    "wrong number": "that passage has no such number, date or amount",
    "wrong name": "that passage has no such name",
    "wrong speaker": "somebody else said so",
    "negated": "the passage says the opposite",
    "unsupported": "that passage does not say so",
    "off the question": "it does not answer the question",
}


# -- prompts -----------------------------------------------------------------------------------------------------------


def write_prompt(question: str, sources: Sequence[Source]) -> str:
    """Return the prompt for an answer, in which ``[n]`` will mean ``sources[n - 1]``."""
    return _filled("write", passages=_passages(sources), question=_line(question), refusal=REFUSAL)


def repair_prompt(question: str, sources: Sequence[Source], *, removed: Sequence[Removed]) -> str:
    """Return the prompt that asks to rewrite faulty sentences, over the same sources as the first prompt."""
    faults = "\n".join(f"- {_line(each.text)} (wrong: {_in_words(each)})" for each in removed)
    return _filled("repair", passages=_passages(sources), question=_line(question), faults=faults, refusal=REFUSAL)


def condense_prompt(question: str, history: History) -> str:
    """Return the prompt that asks to make a follow-up stand alone."""
    told = [
        f"{who}: {_line(text)[:MAX_TOLD_CHARS]}"
        for turn in history[-MAX_TURNS:]
        for who, text in zip(("Question", "Answer"), turn, strict=True)
    ]
    return _filled("condense", history="\n".join(told), question=_line(question))


def prompt_hash() -> str:
    """Return a 12-digit hex hash of all fixed prompt text: the files, the refusal phrase and the fault wording."""
    told = [*(f"{name}\0{_template(name).template}" for name in sorted(VARIABLES)), REFUSAL, *FAULTS.values()]
    return hashlib.sha256("\0".join(told).encode()).hexdigest()[:12]


def _in_words(removed: Removed) -> str:
    return FAULTS[removed.fault] + (f": {_line(removed.detail)}" if removed.detail else "")


# -- passages ----------------------------------------------------------------------------------------------------------


def room_for_passages(question: str, *, context_tokens: int) -> int:
    """Return the tokens available for passages, leaving room for the prompt, a faulty answer and its repair."""
    besides = _count(write_prompt(question, [])) + 2 * ANSWER_TOKENS
    return max(0, int(context_tokens / SPARE) - besides)


def pack(sources: Sequence[Source], *, max_tokens: int) -> list[Source]:
    """Return as many whole sources, from the first on, as fit together; the caller sorts them best first.

    If even the first does not fit, sentences are dropped from its end. Empty if its first sentence is too long.
    """
    packed: list[Source] = []
    for source in sources:
        if _count(_passages([*packed, source])) > max_tokens:
            break
        packed.append(source)
    if packed or not sources:
        return packed
    fitting = (s for s in _shortened(sources[0]) if _count(_passages([s])) <= max_tokens)
    return [first] if (first := next(fitting, None)) else []


def _shortened(source: Source) -> Iterator[Source]:
    """Yield the source with ever fewer whole sentences."""
    passage = source.passage
    for last in reversed(passage.sentences[:-1]):
        span = Span(passage.span.start, last.end)
        shorter = replace(
            passage,
            id=Passage.id_for(passage.doc_id, span),
            span=span,
            text=passage.quote(span),
            sentences=tuple(s for s in passage.sentences if s <= last),
        )
        yield Source(shorter, source.document)


def _passages(sources: Sequence[Source]) -> str:
    """Return numbered passages between fences that do not occur in their texts, so none can close its fence."""
    blocks = [(_as_data(_about(s.document)), _as_data(s.passage.text)) for s in sources]
    fence = _fence(text for block in blocks for text in block)
    return "\n\n".join(
        f"{fence} passage [{n}] from {about}\n{text}\n{fence} end of passage [{n}]"
        for n, (about, text) in enumerate(blocks, start=1)
    )


def _about(document: Document) -> str:
    known = (document.title, document.publisher, document.date and document.date.isoformat())
    return ", ".join(_line(part) for part in known if part)


def _fence(texts: Iterator[str]) -> str:
    """Return a fence derived from all texts together: deterministic, but unpredictable to the author of any one text.

    It is rehashed until it occurs in none of the texts; one hash is enough unless somebody finds a fixed point of
    SHA-256.
    """
    joined = "\0".join(texts)
    digest = joined
    while (fence := f"#{(digest := hashlib.sha256(digest.encode()).hexdigest())[:8]}") in joined:
        pass
    return fence


# -- text that cannot break out ----------------------------------------------------------------------------------------

# Chat templates mark turns with tokens such as <|im_start|>, </s>, <｜User｜> or [INST], which servers interpret
# anywhere in a prompt. Models treat look-alike characters the same.
_TURN_TOKEN = re.compile(
    r"[<＜﹤‹〈〈⟨❮](?=[|｜∣│ǀ❘/／⁄∕]|[a-z]\w*[>＞﹥›〉〉⟩❯])|[\[［【〔](?=[/／]?(?:INST|[A-Z]+_[A-Z_]+)[\]］】〕])",
    re.IGNORECASE,
)


def _plain(text: str) -> str:
    """Return a text without invisible characters and with chat-template tokens broken up."""
    shown = "".join(_shown(character) for character in text)
    shown = _TURN_TOKEN.sub(lambda match: f"{match.group()} ", shown)
    return re.sub(r" {2,}", " ", re.sub(r"\s*\n\s*", "\n", shown)).strip()


def _as_data(text: str) -> str:
    """Sanitise a document's text and remove its footnote numbers, which would look like our markers."""
    return _plain(unmarked(_plain(text)))


def _shown(character: str) -> str:
    """Return a character, replacing white space and controls by a space and dropping zero-width and bidi marks."""
    category = unicodedata.category(character)
    if character == "\n" or category[0] not in "CZ":
        return character
    return "" if category == "Cf" else " "


def _line(text: str) -> str:
    return " ".join(_plain(text).split())


# -- files -------------------------------------------------------------------------------------------------------------


def _filled(name: str, **values: str) -> str:
    return _template(name).substitute(values).strip()


@cache
def _template(name: str) -> Template:
    try:
        text = files("rag.prompts").joinpath(f"{name}.md").read_text(encoding="utf-8")
    except (OSError, ModuleNotFoundError) as error:
        raise InvalidValue(f"prompts/{name}.md: cannot be read ({error}); install footnote-rag again") from error
    return checked(name, text)


def checked(name: str, text: str) -> Template:
    """Return a prompt as a template. Raises InvalidValue unless it uses exactly the variables of its kind."""
    template, known = Template(text), VARIABLES[name]
    if not template.is_valid():
        raise InvalidValue(f"prompts/{name}.md: a $ that begins no variable; write $$ for a dollar sign")
    found = set(template.get_identifiers())
    if unknown := sorted(found - known):
        raise InvalidValue(f"prompts/{name}.md: unknown variable ${unknown[0]}; known are {', '.join(sorted(known))}")
    if missing := sorted(known - found):
        raise InvalidValue(f"prompts/{name}.md: variable ${missing[0]} is missing; without it the model is not told")
    return template


def _count(text: str) -> int:
    return token_limit(MIN_LIMIT).count(text)
