"""What stands in quotation marks, and whether a text has it word for word."""

import re
from collections.abc import Sequence

Quotation = tuple[str, ...]  # the pieces between the omissions ("…")

_PAIRED = re.compile(
    r"“([^“”]+)”|「([^「」]+)」|『([^『』]+)』|‹([^‹›]+)›|``([^`]+?)''|«([^«»]+)»|„([^„“”]+)[“”]|\"([^\"]+)\"|(?<![\w’'])[‘']((?:[^‘’']|(?<=\w)[’'](?=\w))+)[’'](?!\w)"
)
_UNPAIRED = re.compile(r"(?:(?:^|(?<=[\s(\[—–]))[\"“„«](?P<opened>.+)|\A(?P<closed>.+)[\"”»](?!\w))", re.DOTALL)
_OMITTED = re.compile(r"\s*(?:[\[(]\s*(?:\.\.\.|…)\s*[\])]|\.{3,}|…)\s*")
_EDITED = re.compile(r"\[(\w+)\]")  # "[T]he": an editor's capital
_EDGES = " ,.;:!?-–—\t\n"
_ALIKE = dict.fromkeys("‘’‚‛`´′", "'") | dict.fromkeys("“”„‟«»″", '"') | dict.fromkeys("‐‑‒–—−", "-")
_UNSEEN = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_SPELT_OUT = {"ﬁ": "fi", "ﬂ": "fl", "ﬀ": "ff", "ﬃ": "ffi", "ﬄ": "ffl"}


def quotations(text: str) -> list[Quotation]:
    """Return the quotations of a text; a mark without its partner quotes up to the end, or from the beginning."""
    inside = [next(filter(None, match.groups())) for match in _PAIRED.finditer(text)]
    if unpaired := _UNPAIRED.search(_PAIRED.sub(" ", text)):
        inside.append(unpaired["opened"] or unpaired["closed"])
    pieces = [tuple(piece.strip(_EDGES) for piece in _OMITTED.split(quoted)) for quoted in inside]
    kept = [tuple(piece for piece in quotation if any(map(str.isalnum, piece))) for quotation in pieces]
    return [quotation for quotation in kept if quotation]


def find_quotation(quotation: Quotation, text: str) -> list[tuple[int, int]] | None:
    """Return where the pieces stand in a text, in order, whole words only, as offsets of ``text``; None if they do not.

    White space, ligatures, the form of quotation marks and dashes, and the case of a piece's first letter may differ.
    """
    plain, offsets = _comparable(text)
    places, start = [], 0
    for piece in quotation:
        match = _wanted(piece).search(plain, start)
        if match is None:
            return None
        places.append((offsets[match.start()], offsets[match.end() - 1] + 1))
        start = match.end()
    return places


def first_unquoted(text: str, sources: Sequence[str]) -> str | None:
    """Return the first quotation of a text that none of the sources has, None if each is in one of them."""
    for quotation in quotations(text):
        if not any(find_quotation(quotation, source) for source in sources):
            return " … ".join(quotation)
    return None


def _wanted(piece: str) -> re.Pattern[str]:
    sought, _ = _comparable(_EDITED.sub(r"\1", piece))
    first, rest = sought[0], re.escape(sought[1:])
    if not first.isalnum():
        return re.compile(rf"{re.escape(first)}{rest}(?!\w)")
    return re.compile(rf"(?<!\w)(?:{re.escape(first.lower())}|{re.escape(first.upper())}){rest}(?!\w)")


def _comparable(text: str) -> tuple[str, list[int]]:
    """Return the text with marks of one kind made one and white space single, and the offset of each character."""
    kept: list[str] = []
    offsets: list[int] = []
    for at, character in enumerate(text):
        alike = " " if character.isspace() else _ALIKE.get(character, _SPELT_OUT.get(character, character))
        if character in _UNSEEN or (alike == " " and kept and kept[-1] == " "):
            continue
        kept += alike
        offsets += [at] * len(alike)
    return "".join(kept), offsets
