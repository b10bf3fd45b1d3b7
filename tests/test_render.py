"""What a terminal gets to see, and what must never reach it."""

import datetime as dt
import io
import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from rag import Rag, Settings
from rag.answer_text import plain_text
from rag.cli.render import hits_text, preview_record, preview_text, report_record, report_text, result_text
from rag.documents import Prepared
from rag.errors import EmptyDocument
from rag.index import IngestReport
from rag.models import SentenceEncoder
from rag.text.characters import printable
from rag.values import Abstention, Answer, Citation, Claim, Document, Exclusion, Hit, Passage, Removed, Span, Trace

Open = Callable[..., Rag]

TRACE = Trace(settings_hash="0" * 12, prompt_hash=None, models={}, index_version=1, timings_ms={})
EVIL = "\x1b[31mred\x1b]0;title\x07\x9b2J\u202eabc\u2066def\u200b\x00\x7f\r\u0085"


def shown(renderable: RenderableType, *, width: int = 200, color: bool = False) -> str:
    """The characters that reach a terminal."""
    file = io.StringIO()
    Console(file=file, width=width, force_terminal=color, color_system="truecolor" if color else None).print(renderable)
    return file.getvalue()


def lines(renderable: RenderableType) -> list[str]:
    return [line.rstrip() for line in shown(renderable).splitlines() if line.strip()]


def dangerous(text: str) -> list[str]:
    """Characters that move the cursor, change direction or hide; the line end is the console's own.

    Soft hyphens and joiners are none: words of many languages, and emoji, are written with them.
    """
    return [c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c not in "\n\u00ad\u200c\u200d"]


def citation(marker: int = 1, quote: str = "Alpha signed.", **about: object) -> Citation:
    values = {"source": "a.txt", "title": "The treaty", "publisher": "Press", "date": dt.date(2025, 12, 29)} | about
    return Citation(marker=marker, doc_id="d", span=Span(10, 10 + len(quote)), quote=quote, **values)


def hit(text: str = "Alpha signed.", *, rank: int = 1, source: str = "a.txt") -> Hit:
    span = Span(10, 10 + len(text))
    return Hit(Passage("d:10", "d", span, "", source=source, text=text), 0.03125, rank, "fused")


def near(text: str = "Alpha signed.", *, rank: int = 1) -> Hit:
    found = hit(text, rank=rank)
    return replace(found, sentence=found.passage.span, score=0.3999, via="evidence")


def answer(*claims: Claim, question: str = "Who signed?", standalone: str = "Who signed?", **more: object) -> Answer:
    return Answer(question, claims, hits=(), trace=TRACE, standalone_question=standalone, **more)


def abstention(reason: str = "Nothing answers.", *, nearest: tuple[Hit, ...] = (), standalone: str = "") -> Abstention:
    return Abstention("Who?", reason, nearest, TRACE, standalone_question=standalone or "Who?")


# -- characters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Şavkat “said” — 9,000 €", "Şavkat “said” — 9,000 €"),
        ("one\ntwo\tthree", "one two three"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("\u202eabc\u202c", "\ufffdabc\ufffd"),
        ("\x00\x07\x7f\x9b\r", "\ufffd" * 5),
        ("\ud800", "\ufffd"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("Қазақстан 纳扎尔 نزار", "Қазақстан 纳扎尔 نزار"),
        ("", ""),
    ],
)
def test_only_characters_that_can_be_seen_are_printed(text: str, expected: str):
    assert printable(text) == expected


@given(st.text(st.characters()))
def test_a_printed_text_keeps_its_length_and_holds_nothing_dangerous(text: str):
    assert len(printable(text)) == len(text)
    assert dangerous(printable(text)) == []
    assert "\n" not in printable(text)
    assert printable(printable(text)) == printable(text)


ANY = st.text(st.characters(), max_size=40)
QUOTES = ANY.filter(str.strip)


@given(QUOTES, ANY, ANY, ANY)
def test_nothing_in_an_answer_reaches_the_terminal_as_control(quote: str, source: str, title: str, question: str):
    cited = citation(quote=EVIL + quote, source=EVIL + source, title=EVIL + title, publisher=EVIL + title)
    made = result_text(answer(Claim(quote + EVIL, (cited,)), question=question, standalone=question + EVIL))
    assert dangerous(shown(made)) == []
    assert "[1]" in shown(made)
    codes = re.findall("\x1b[^m]*m?", shown(made, color=True))
    assert set(codes) == {"\x1b[2m", "\x1b[0m"}, "the console's own dimming"
    assert set(dangerous(shown(made, color=True))) == {"\x1b"}


def test_a_refusal_shows_the_sentence_that_came_nearest_with_its_place_and_probability():
    refusal = abstention(nearest=(replace(near("One is one. Two is two."), sentence=Span(22, 33)),))
    assert " 1. a.txt:22-33  39%\n    Two is two.\n" in shown(result_text(refusal))
    assert "- a.txt:22-33 (39%): Two is two." in plain_text(refusal)


@given(ANY, ANY, ANY)
def test_nothing_in_a_refusal_or_a_hit_reaches_the_terminal_as_control(reason: str, text: str, source: str):
    near = hit(EVIL + text, source=EVIL + source)
    assert dangerous(shown(result_text(abstention(reason + EVIL, nearest=(near,), standalone=EVIL)))) == []
    assert dangerous(shown(hits_text([near]))) == []


@given(ANY, ANY, ANY, ANY)
def test_nothing_in_a_preview_reaches_the_terminal_as_control(source: str, title: str, text: str, reason: str):
    assert dangerous(shown(preview_text([prepared(EVIL + source, title + EVIL, EVIL + text, reason + EVIL)]))) == []
    assert dangerous(shown(preview_text([EmptyDocument(EVIL.replace("\0", ""), EVIL)]))) == []


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "[link=https://example.org]x[/link]", "[/]", ":smile:", "[red"])
def test_markup_of_a_document_is_shown_as_it_stands(text: str):
    cited = citation(quote=text, source=text, title=text)
    assert shown(result_text(answer(Claim(text, (cited,))))).count(text) == 3
    assert text in shown(result_text(abstention(text)))
    assert shown(hits_text([hit(text, source=text)])).count(text) == 2
    assert text in shown(preview_text([prepared(text, text, text, text)]))


# -- answers -----------------------------------------------------------------------------------------------------------


def test_an_answer_shows_each_claim_with_its_markers_and_each_footnote_once():
    one, two = citation(1), citation(2, "Beta did not.", source="b.txt", title="Refusal", publisher=None, date=None)
    made = answer(Claim("Alpha signed.", (one, two)), Claim("Beta did not.", (two,)))
    assert lines(result_text(made)) == [
        "Alpha signed. [1][2]",
        "Beta did not. [2]",
        "[1] The treaty, Press, 2025-12-29  a.txt:10-23",
        "[2] Refusal, undated  b.txt:10-23",
    ]


def test_a_question_is_repeated_only_where_it_was_understood_otherwise():
    claim = Claim("Alpha signed.", (citation(),))
    assert "Asked as" not in shown(result_text(answer(claim)))
    assert "Asked as: Who signed the treaty?" in lines(result_text(answer(claim, standalone="Who signed the treaty?")))
    assert "Asked as: Who else?" in lines(result_text(abstention(standalone="Who else?")))


def test_a_quote_of_several_lines_is_one_claim_on_one_line():
    assert lines(result_text(answer(Claim("one\ntwo", (citation(),)))))[0] == "one two [1]"


def test_a_refusal_shows_its_reason_and_what_came_nearest():
    assert lines(result_text(abstention("Nothing answers.", nearest=(near(), near("Beta did not.", rank=2))))) == [
        "No answer. Nothing answers.",
        "Nearest, with the probability that it answers:",
        " 1. a.txt:10-23  39%",
        "    Alpha signed.",
        " 2. a.txt:10-23  39%",
        "    Beta did not.",
    ]


def test_a_refusal_without_passages_does_not_speak_of_any():
    assert lines(result_text(abstention("The question is empty."))) == ["No answer. The question is empty."]


def test_the_seeds_are_shown_with_publisher_date_and_place(seeds_index: Path, encoder: SentenceEncoder):
    rag = Rag(Settings(index_dir=seeds_index, min_probability=0.0, max_claims=1), encoder=encoder)
    result = rag.ask("How many Russian companies operate in Kazakhstan?")
    rag.close()
    assert isinstance(result, Answer)
    (cited,) = result.citations
    output = lines(result_text(result))
    assert output[0].startswith("According to Nazarbayev in 2018, 9,000 Russian companies operate in Kazakhstan")
    assert output[-1] == (
        "[1] Putin and Nazarbayev Meet Again, Times Tengri, 2025-12-29"
        f"  003_d787627b162cf556.txt:{cited.span.start}-{cited.span.end}"
    )


# -- hits --------------------------------------------------------------------------------------------------------------


def test_no_hits_are_said_to_be_none():
    assert lines(hits_text([])) == ["Nothing found."]


def test_a_short_passage_is_shown_whole_and_a_long_one_cut_between_words():
    words = " ".join(f"word{i}" for i in range(100))
    assert lines(hits_text([hit("x" * 180)]))[1] == "    " + "x" * 180
    snippet = " ".join(line.strip() for line in lines(hits_text([hit(words)]))[1:])
    assert snippet.endswith(" …")
    assert len(snippet) <= 242
    assert words.startswith(snippet.removesuffix(" …"))
    assert words[len(snippet) - 2] == " ", "no word is cut in two"


# -- ingest ------------------------------------------------------------------------------------------------------------


def prepared(source: str, title: str, text: str, reason: str) -> Prepared:
    document = Document(
        id="d",
        source=source,
        title=title,
        publisher=None,
        author=None,
        date=dt.date(2026, 1, 7),
        text=text,
        sha256="",
        inferred={"date": reason},
    )
    excluded = (Exclusion(Span(0, len(text)), "share-line", reason),)
    return Prepared(document, root="", recipe="", excluded=excluded, passages=())


def test_a_preview_shows_what_is_known_and_every_line_that_is_left_out_with_its_rule():
    output = lines(preview_text([prepared("a.txt", "The treaty", "Tags", "the header has no year")]))
    assert output == [
        "a.txt",
        "  title      The treaty",
        "  publisher  not known",
        "  date       2026-01-07 (inferred: the header has no year)",
        "  passages   0",
        "  left out   1 lines",
        "    share-line             0-4          Tags",
    ]


def test_a_preview_leaves_refused_documents_to_the_errors():
    assert lines(preview_text([EmptyDocument("a.txt", "holds no text")])) == []


def test_a_real_folder_is_previewed_with_all_that_is_left_out(open_rag: Open, tmp_path: Path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.txt").write_text("The treaty\n\nAlpha signed the treaty in Geneva.\n\nScroll to Top\n", encoding="utf-8")
    (docs / "b.txt").write_text("  ", encoding="utf-8")
    previews = list(open_rag().preview([docs]))
    output = shown(preview_text(previews))
    assert "Scroll to Top" in output
    assert "b.txt" not in output
    record = preview_record(previews)
    assert json.loads(json.dumps(record)) == record
    described, refused = record["documents"]
    text = (docs / "a.txt").read_text(encoding="utf-8")
    assert [x["text"] for x in described["excluded"]] == [text[x["start"] : x["end"]] for x in described["excluded"]]
    assert all(x["rule"] and x["reason"] for x in described["excluded"])
    assert refused == {"path": str(docs / "b.txt"), "error": f"{docs / 'b.txt'}: {refused['error'].partition(': ')[2]}"}


def test_a_report_counts_what_happened_and_names_it_in_its_record():
    report = IngestReport(
        added=("a.txt", "b.txt"),
        unchanged=("c.txt",),
        failed=(("d.txt", "d.txt: empty"),),
        n_embedded=1234,
        index_version=7,
    )
    assert lines(report_text(report)) == ["2 added, 1 unchanged, 1 failed; 1,234 texts embedded; index version 7"]
    record = report_record(report)
    assert record["failed"] == [{"path": "d.txt", "error": "d.txt: empty"}]
    assert record["added"] == ["a.txt", "b.txt"]
    assert json.loads(json.dumps(record)) == record


def test_a_report_of_nothing_says_that_nothing_was_added():
    assert lines(report_text(IngestReport(index_version=3))) == ["0 added; 0 texts embedded; index version 3"]


def test_what_a_check_removed_is_no_part_of_the_claims_shown():
    made = answer(Claim("Alpha signed.", (citation(),)), removed=(Removed("Omega signed.", "fabricated"),))
    assert lines(result_text(made))[0] == "Alpha signed. [1]"
