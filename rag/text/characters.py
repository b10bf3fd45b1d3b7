"""Characters that readers do not see and that can deceive them, made visible before a text is shown."""

import unicodedata

_JOINERS = "\u00ad\u200c\u200d"  # soft hyphen and joiners: Persian, Hindi and emoji are written with them


def printable(text: str) -> str:
    """Return the text with control and direction-changing characters as U+FFFD; tabs and breaks become spaces."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t\f":
        return " "
    if unicodedata.category(character) == "Cf" and character in _JOINERS:
        return character
    return "\ufffd" if unicodedata.category(character) in {"Cc", "Cf", "Cs"} else character
