"""Opposites: which sentences say the contrary of their source, and which only use its words otherwise."""

import pytest

from rag.gate.rules.opposites import opposed


@pytest.mark.parametrize(
    ("text", "source", "word"),
    [
        ("Sales rose by 5 percent.", "Sales fell by 5 percent.", "rose"),
        ("Sales at the yard dropped.", "Sales at the yard have grown.", "dropped"),
        ("The court overturned the ruling.", "The court upheld the ruling.", "overturned"),
        ("The board approved the offer.", "The board rejected the offer.", "approved"),
        ("Solberg was acquitted.", "Solberg was convicted.", "acquitted"),
        ("Halvard reported a profit of 5 million.", "Halvard reported a loss of 5 million.", "profit"),
        ("Halvard sold the yard.", "Halvard bought the yard.", "sold"),
        ("Halvard imports steel.", "Halvard exports steel.", "imports"),
        ("Solberg won the vote.", "Solberg lost the vote.", "won"),
        ("The yard will close in May.", "The yard will open in May.", "close"),
        ("Halvard hired 300 people.", "Halvard fired 300 people.", "hired"),
        ("The city bans ferries.", "The city permits ferries.", "bans"),
        ("It opened in late 2024.", "It opened in early 2024.", "late"),
        ("They met before the vote.", "They met after the vote.", "before"),
        ("Wages are higher in Oslo.", "Wages are lower in Oslo.", "higher"),
        ("The yard employs fewer welders.", "The yard employs more welders.", "fewer"),
        ("Few voters agree.", "Most voters agree.", "few"),
        ("Solberg joined the board.", "Solberg left the board.", "joined"),
    ],
)
def test_an_opposite_beside_the_same_word_is_found(text: str, source: str, word: str):
    assert opposed(text, source) == word


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("Sales rose.", "Sales climbed while costs fell."),
        ("Sales rose.", "Costs fell, and sales doubled."),
        ("Sales fell.", "Sales failed to rise."),
        ("Sales fell.", "Sales did not rise."),
        ("Sales did not fall.", "Sales rose."),
        ("Beta bought the yard from Alpha.", "Alpha sold the yard to Beta."),
        ("The yard was bought in 1998.", "The yard was sold by Alpha in 1998."),
        ("The vote came before the strike.", "The strike came after the vote."),
        ("Germany imports gas from Norway.", "Norway exports gas to Germany."),
        ("Wages in Oslo are higher than in Gdansk.", "Gdansk has lower wages than Oslo."),
        ("It opened the yard.", "It opened a yard and has close ties to Oslo."),
        ("After the strike of 2019 it sold the yard.", "Before the vote of 2019 it sold the yard."),
        ("At least 300 people came.", "More than 300 people came."),
        ("", "Sales fell."),
    ],
)
def test_what_is_said_of_another_or_from_the_other_side_is_no_opposite(text: str, source: str):
    assert opposed(text, source) is None
