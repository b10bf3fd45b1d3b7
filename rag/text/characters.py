"""Make invisible and potentially deceptive characters visible before text is shown."""

import unicodedata

_JOINERS = "\u00ad\u200c\u200d"  # soft hyphen and joiners: Persian, Hindi and emoji need them


def printable(text: str) -> str:
    """Return the text with control and bidi characters replaced by U+FFFD, and tabs and line breaks by spaces."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t\f":
        return " "
    if unicodedata.category(character) == "Cf" and character in _JOINERS:
        return character
    return "\ufffd" if unicodedata.category(character) in {"Cc", "Cf", "Cs"} else character
