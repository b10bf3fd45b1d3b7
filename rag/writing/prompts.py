"""What a language model is asked: the prompt files filled with questions and passages, which cannot break out.

    write_prompt("Who won?", pack(sources, max_tokens=room))     # best source first; passages are numbered from 1

The files are in ``prompts/``; their variables are checked when they are first read, so that a misspelt one cannot reach
a model.

What documents and users wrote is made plain here, for the prompt only: offsets and citations never see it.
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
from rag.writing.refusals import REFUSAL

ANSWER_TOKENS = 300  # four sentences, with room to spare
SPARE = 1.25  # other tokenizers count up to a quarter more than tiktoken's o200k_base in European languages
MAX_TURNS = 3  # earlier turns shown with a follow-up; what it refers back to is rarely older
MAX_TOLD_CHARS = 500  # shown of each question and answer before it

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
    """Return the prompt for an answer; ``[n]`` in that means ``sources[n - 1]``."""
    return _filled("write", passages=_passages(sources), question=_line(question), refusal=REFUSAL)


def repair_prompt(question: str, sources: Sequence[Source], *, removed: Sequence[Removed]) -> str:
    """Return the prompt that has faulty sentences written anew, over the same sources as the first one."""
    faults = "\n".join(f"- {_line(each.text)} (wrong: {_in_words(each)})" for each in removed)
    return _filled("repair", passages=_passages(sources), question=_line(question), faults=faults, refusal=REFUSAL)


def condense_prompt(question: str, history: History) -> str:
    """Return the prompt that makes a follow-up stand alone."""
    told = [
        f"{who}: {_line(text)[:MAX_TOLD_CHARS]}"
        for turn in history[-MAX_TURNS:]
        for who, text in zip(("Question", "Answer"), turn, strict=True)
    ]
    return _filled("condense", history="\n".join(told), question=_line(question))


def prompt_hash() -> str:
    """Return 12 hex digits over all that models are told: the files, the refusal phrase and the faults in words."""
    told = [*(f"{name}\0{_template(name).template}" for name in sorted(VARIABLES)), REFUSAL, *FAULTS.values()]
    return hashlib.sha256("\0".join(told).encode()).hexdigest()[:12]


def _in_words(removed: Removed) -> str:
    return FAULTS[removed.fault] + (f": {_line(removed.detail)}" if removed.detail else "")


# -- passages ----------------------------------------------------------------------------------------------------------


def room_for_passages(question: str, *, context_tokens: int) -> int:
    """Return the tokens that passages may take so that prompt, an answer to repair and a new one fit the context."""
    besides = _count(write_prompt(question, [])) + 2 * ANSWER_TOKENS
    return max(0, int(context_tokens / SPARE) - besides)


def pack(sources: Sequence[Source], *, max_tokens: int) -> list[Source]:
    """Return the first sources, whole, that fit together; the caller sorts them, best first.

    If not even the first one fits, it loses sentences at its end. Empty if its first sentence alone is too long.
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
    """Yield the source with ever fewer of its sentences, none of them cut."""
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
    """Return numbered passages between fences that their texts do not hold, and so cannot close."""
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
    """Return a mark made of all texts together: who wrote one of them cannot know it, and the same texts have the same.

    It is made again until it occurs in none, which is once, unless somebody finds a fixed point of SHA-256.
    """
    joined = "\0".join(texts)
    digest = joined
    while (fence := f"#{(digest := hashlib.sha256(digest.encode()).hexdigest())[:8]}") in joined:
        pass
    return fence


# -- text that cannot break out ----------------------------------------------------------------------------------------

# Chat templates mark turns by tokens such as <|im_start|>, </s>, <｜User｜> or [INST], and servers heed them anywhere
# in a prompt. Models take characters that look like these for the same.
_TURN_TOKEN = re.compile(
    r"[<＜﹤‹〈〈⟨❮](?=[|｜∣│ǀ❘/／⁄∕]|[a-z]\w*[>＞﹥›〉〉⟩❯])|[\[［【〔](?=[/／]?(?:INST|[A-Z]+_[A-Z_]+)[\]］】〕])",
    re.IGNORECASE,
)


def _plain(text: str) -> str:
    """Return a text without what readers do not see and without tokens of chat templates."""
    shown = "".join(_shown(character) for character in text)
    shown = _TURN_TOKEN.sub(lambda match: f"{match.group()} ", shown)
    return re.sub(r" {2,}", " ", re.sub(r"\s*\n\s*", "\n", shown)).strip()


def _as_data(text: str) -> str:
    """Return what a document says, plain and without footnote numbers of its own, which would pass for ours."""
    return _plain(unmarked(_plain(text)))


def _shown(character: str) -> str:
    """Return a character; white space for all of its kinds and for controls, nothing for zero-width and bidi marks."""
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
    """Return a prompt as a template. Raises InvalidValue unless it has exactly the variables that are filled."""
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
