"""Decode plain text; also defines ``Decoded``, which every loader returns."""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import charset_normalizer

from rag.documents.sources import Overrides
from rag.errors import UndecodableText

# UTF-32 first: its little-endian mark begins with that of UTF-16.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Encodings to guess from, in order of preference: they often decode the same bytes to equally likely texts, and a wrong
# guess would end up in quotes. East Asian encodings are absent because they cannot be told apart reliably.
GUESSED_ENCODINGS = ("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "koi8_r")
MAX_CHAOS_PERCENT = 10.0  # right guesses stay below this for sentences of ten or more words; most wrong ones do not
MIN_COHERENCE_PERCENT = 30.0  # letter-frequency match with a language; right guesses score 36 to 67, noise 0
NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")  # what broken fonts and files leave behind
PARAGRAPH = "\n\n"  # paragraph separator for every format that has paragraphs


@dataclass(frozen=True, slots=True)
class Decoded:
    """The result of a loader.

    encoding: how the bytes were decoded. stated: metadata from the file's own fields.
    """

    text: str
    encoding: str
    stated: Overrides = field(default_factory=Overrides)


def load_plain(raw: bytes, path: Path) -> Decoded:
    """Decode plain text by its byte order mark, as UTF-8, or by a confident guess.

    Raises UndecodableText for binary content, or if no encoding is likely enough.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if raw.startswith(mark):
            return Decoded(_decode(raw, encoding, path), encoding)
    if b"\0" in raw:
        raise UndecodableText(path, "holds NUL bytes, so it is no plain text; save it as UTF-8 text")
    try:
        return Decoded(raw.decode("utf-8"), "utf-8")
    except UnicodeDecodeError as error:
        if _mostly_utf8(raw):
            raise UndecodableText(path, f"is damaged UTF-8 (byte {error.start}); save it again as UTF-8") from error
        return _guess(raw, path)


def _decode(raw: bytes, encoding: str, path: Path) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise UndecodableText(
            path, f"begins as {encoding} but is not at byte {error.start}; save it as UTF-8"
        ) from error


def _mostly_utf8(raw: bytes) -> bool:
    """Distinguish slightly damaged UTF-8 from other encodings, which are rarely valid UTF-8 by chance."""
    n_bytes = sum(byte >= 0x80 for byte in raw)
    n_valid = sum(byte >= 0x80 for byte in raw.decode("utf-8", errors="ignore").encode("utf-8"))
    return 2 * n_valid >= n_bytes


def _guess(raw: bytes, path: Path) -> Decoded:
    likely: Mapping[str, tuple[float, str]] = {
        encoding: (match.percent_coherence, str(match))
        for match in charset_normalizer.from_bytes(raw, cp_isolation=list(GUESSED_ENCODINGS))
        for encoding in match.could_be_from_charset
        if match.percent_chaos <= MAX_CHAOS_PERCENT and match.percent_coherence >= MIN_COHERENCE_PERCENT
    }
    known = [encoding for encoding in GUESSED_ENCODINGS if encoding in likely]
    if not known:
        raise UndecodableText(path, "its encoding cannot be told with any certainty; save it as UTF-8")
    best = max(known, key=lambda encoding: likely[encoding][0])  # on a tie, max keeps the first, which is preferred
    return Decoded(likely[best][1], best)
