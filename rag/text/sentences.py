"""Where sentences begin and end inside one paragraph: spans of the text, whatever the segmenter makes of it."""

import re
from itertools import pairwise

import pysbd

from rag.text.words import SPOKE
from rag.values import Span

# Characters that the segmenter sees at once. Its time for each grows with their number (fourfold from 500 to 30,000),
# and one unpaired quotation mark hides the sentence ends of all that follow.
MAX_WINDOW_CHARS = 1000
_UNSEEN = str.maketrans(dict.fromkeys('\n“”„«»"', " "))
_CLOSING_MARKS = "”\"’'»)]"
_CLOSING_QUOTE = re.compile(r"[”\"’'»]$")
_ENUMERATOR = re.compile(r"\(?\d{1,3}[.)]")
# Who spoke, behind a quotation: "Putin said.", "the political analyst said.", "said Putin."
_SPEECH_VERB = f"(?:{'|'.join(sorted(SPOKE | {'continued', 'says', 'asks', 'adds'}))})"
_SPEAKER = re.compile(rf"(?:[\w.’'-]+ ){{1,4}}{_SPEECH_VERB}[.,:]?|{_SPEECH_VERB}(?: [\w.’'-]+){{1,4}}")


def sentences(text: str, span: Span) -> tuple[Span, ...]:
    """Return the sentences of one paragraph, ``text[span.start:span.end]``, in offsets of ``text``.

    They are in order, without white space at their ends, and together hold every other character of the paragraph once,
    whatever the segmenter makes of it: only its opinion on where sentences end is used.
    """
    found: list[Span] = []
    start = span.start
    while start < span.end:
        window = text[start : min(start + MAX_WINDOW_CHARS, span.end)]
        ends = _sentence_ends(window)
        if start + len(window) < span.end:
            # The last sentence of the window may go on behind it: it is segmented again from its own start.
            ends = ends[:-1] or [_last_space(window)]
        for begin, end in pairwise([0, *ends]):
            if (piece := trimmed(text, start + begin, start + end)) is not None:
                _append_sentence(found, piece, text)
        start += ends[-1]
    return tuple(found)


def _sentence_ends(window: str) -> list[int]:
    """Return where sentences end in ``window``: ascending positions, the last one ``len(window)``.

    The segmenter may change or lose characters, and it may raise on odd input. A sentence of it that is not found again
    gives no position, and a failure means that nothing is known about the inside of this window.
    """
    # One segmenter a call, which costs nothing: it keeps the text it works on, so threads cannot share it. Its own
    # spans (segment()) come from a regular expression compiled for each sentence, 40 % of the whole time.
    segmenter = pysbd.Segmenter(language="en", clean=False, char_span=True)
    try:
        # A newline ends a sentence for the segmenter; in here it is where a line was wrapped. And it takes all that
        # stands between quotation marks for one sentence, though people speak in several. The length stays.
        line = window.translate(_UNSEEN)
        found = segmenter.processor(line).process()
    except Exception:  # noqa: BLE001 - forty regular expressions of somebody else over any text whatever
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
    """Append a sentence, or join it to the one before where the segmenter cut one sentence in two."""
    # A joined sentence stays within the window, so that no later step meets one as long as the document.
    near = bool(found) and piece.end - found[-1].start <= MAX_WINDOW_CHARS
    if near and _continues(piece.cut(text), found[-1].cut(text)):
        found[-1] = Span(found[-1].start, piece.end)
    else:
        found.append(piece)


def _continues(piece: str, before: str) -> bool:
    """Whether a piece belongs to the sentence before it.

    So do what holds no letter or digit, what follows a number that only counts ("4." The value), what goes on in lower
    case after a quotation or a dash ("why? — he could answer"), and the speaker after a quotation ("Putin said.").
    """
    if not any(character.isalnum() for character in piece) or _ENUMERATOR.fullmatch(before):
        return True
    if dash := re.match(r"[—–-]\s*", piece):
        return piece[dash.end() : dash.end() + 1].islower()
    return bool(_CLOSING_QUOTE.search(before)) and (piece[0].islower() or bool(_SPEAKER.fullmatch(piece)))


def _last_space(window: str) -> int:
    """Return the position behind the last white space of ``window``, or its length where there is none."""
    spaces = [match.end() for match in re.finditer(r"\s+", window)]
    return spaces[-1] if spaces else len(window)


def trimmed(text: str, start: int, end: int) -> Span | None:
    """Return ``[start, end)`` without white space at its ends, None if nothing is left."""
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return Span(start + left, start + len(piece.rstrip())) if left < len(piece) else None
