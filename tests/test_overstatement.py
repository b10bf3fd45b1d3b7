"""How far a sentence goes beyond its source: of all, always, only, and of those who were something once."""

import pytest

from rag.gate.rules.overstatement import absolute, still


@pytest.mark.parametrize(
    ("text", "source", "word"),
    [
        ("All scientists rejected it.", "Some scientists rejected it.", "All"),
        ("Every yard was sold.", "Yards were sold.", "Every"),
        ("Halvard fully complied.", "Halvard partially complied.", "fully"),
        ("Halvard always pays late.", "Halvard pays late.", "always"),
        ("Solberg is the sole owner.", "Solberg is an owner.", "sole"),
        ("Only Solberg signed.", "Solberg signed.", "Only"),
    ],
)
def test_a_word_without_exception_has_to_stand_in_the_source(text: str, source: str, word: str):
    assert absolute(text, source) == word.casefold()


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("All yards were sold.", "Each yard was sold."),
        ("He lost all his posts.", "He lost every post."),
        ("He did not only sign.", "He signed."),
        ("Almost all members came.", "Most members came."),
        ("It did not matter at all.", "It did not matter."),
        ("He never signed.", "He did not sign."),
        ("It is entirely his.", "The whole yard is his."),
        ("", "Some came."),
    ],
)
def test_what_the_source_says_of_all_in_other_words_is_left(text: str, source: str):
    assert absolute(text, source) is None


@pytest.mark.parametrize(
    ("text", "source", "role"),
    [
        ("Solberg is the chair of Halvard.", "Solberg, former chair of Halvard, spoke.", "chair"),
        ("Okafor is Minister of Trade.", "Ex-minister Okafor spoke of trade.", "Minister"),
        ("Ada Lind is the finance director.", "The then-director Ada Lind spoke.", "director"),
        ("Solberg is a former chair.", "Solberg, former chair of Halvard, spoke.", None),
        ("Solberg was the chair.", "Solberg, former chair of Halvard, spoke.", None),
        ("Solberg is the head of Baltic.", "Solberg, former chair of Halvard, is the head of Baltic.", None),
        ("Lind is the chair.", "Former chair Solberg met the chair Lind.", None),
        ("He is a director.", "He then met the director.", None),
    ],
)
def test_what_somebody_was_once_is_no_role_of_now(text: str, source: str, role: str | None):
    assert still(text, source) == role
