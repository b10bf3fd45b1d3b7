"""Split a paragraph into sentences, as spans of the original text."""

import re
from itertools import pairwise

import pysbd

from rag.text.words import SPOKE
from rag.values import Span

# Characters passed to the segmenter at once. Its time per character grows with the window (fourfold from 500 to
# 30,000), and one unpaired quotation mark hides every sentence end after it.
MAX_WINDOW_CHARS = 1000
_UNSEEN = str.maketrans(dict.fromkeys('\n“”„«»"', " "))
_CLOSING_MARKS = "”\"’'»)]"
_CLOSING_QUOTE = re.compile(r"[”\"’'»]$")
_ENUMERATOR = re.compile(r"\(?\d{1,3}[.)]")
# The speaker after a quotation: "Putin said.", "the political analyst said.", "said Putin."
_SPEECH_VERB = f"(?:{'|'.join(sorted(SPOKE | {'continued', 'says', 'asks', 'adds'}))})"
_SPEAKER = re.compile(rf"(?:[\w.’'-]+ ){{1,4}}{_SPEECH_VERB}[.,:]?|{_SPEECH_VERB}(?: [\w.’'-]+){{1,4}}")


def sentences(text: str, span: Span) -> tuple[Span, ...]:
    """Return the sentences of one paragraph, ``text[span.start:span.end]``, as offsets into ``text``.

    Sentences are in order and trimmed of white space; together they cover every other character of the paragraph
    exactly once. The segmenter only decides where sentences end, so nothing it changes or drops affects the text.
    """
    found: list[Span] = []
    start = span.start
    while start < span.end:
        window = text[start : min(start + MAX_WINDOW_CHARS, span.end)]
        ends = _sentence_ends(window)
        if start + len(window) < span.end:
            # The last sentence may continue past the window, so segment it again from its own start.
            ends = ends[:-1] or [_last_space(window)]
        for begin, end in pairwise([0, *ends]):
            if (piece := trimmed(text, start + begin, start + end)) is not None:
                _append_sentence(found, piece, text)
        start += ends[-1]
    return tuple(found)


def _sentence_ends(window: str) -> list[int]:
    """Return the positions where sentences end in ``window``, ascending; the last one is ``len(window)``.

    The segmenter may change or lose characters. A sentence that cannot be found again in the window gives no position.
    The segmenter may also raise on odd input; the whole window then counts as one sentence.
    """
    # Create a segmenter per call: it is cheap, and it stores the text it works on, so threads cannot share it.
    # Avoid segment(): for its spans it compiles a regular expression per sentence, 40 % of the total time.
    segmenter = pysbd.Segmenter(language="en", clean=False, char_span=True)
    try:
        # Blank out newlines, which end a sentence for the segmenter but are only line wraps here, and quotation marks,
        # between which it sees a single sentence. The length stays the same.
        line = window.translate(_UNSEEN)
        found = segmenter.processor(line).process()
    except Exception:  # noqa: BLE001 - forty third-party regular expressions run over arbitrary text
        return [len(window)]
    ends, position = [], 0
    for sentence in found:
        start = line.find(sentence, position) if sentence else -1
        if start >= 0:
            position = _behind_closing_marks(window, start + len(sentence.rstrip()))
            ends.append(position)
    return [*(end for end in ends if end < len(window)), len(window)]


def _behind_closing_marks(window: str, end: int) -> int:
    while end < len(window) and window[end] in _CLOSING_MARKS:
        end += 1
    return end


def _append_sentence(found: list[Span], piece: Span, text: str) -> None:
    """Append a sentence, or join it to the previous one if the segmenter split a single sentence."""
    # Limit a joined sentence to the window size, so that it cannot grow as long as the document.
    near = bool(found) and piece.end - found[-1].start <= MAX_WINDOW_CHARS
    if near and _continues(piece.cut(text), found[-1].cut(text)):
        found[-1] = Span(found[-1].start, piece.end)
    else:
        found.append(piece)


def _continues(piece: str, before: str) -> bool:
    """Return whether a piece belongs to the sentence before it.

    It does if it has no letter or digit, follows an enumerator ("4." The value), continues in lower case after a
    quotation or a dash ("why? — he could answer"), or names the speaker after a quotation ("Putin said.").
    """
    if not any(character.isalnum() for character in piece) or _ENUMERATOR.fullmatch(before):
        return True
    if dash := re.match(r"[—–-]\s*", piece):
        return piece[dash.end() : dash.end() + 1].islower()
    return bool(_CLOSING_QUOTE.search(before)) and (piece[0].islower() or bool(_SPEAKER.fullmatch(piece)))


def _last_space(window: str) -> int:
    """Return the position after the last white space in ``window``, or its length if there is none."""
    spaces = [match.end() for match in re.finditer(r"\s+", window)]
    return spaces[-1] if spaces else len(window)


def trimmed(text: str, start: int, end: int) -> Span | None:
    """Return ``[start, end)`` trimmed of white space, or None if nothing is left."""
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return Span(start + left, start + len(piece.rstrip())) if left < len(piece) else None
