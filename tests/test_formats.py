"""Text out of HTML, Word and PDF: real files, made as users' programs make them."""

import datetime as dt
import html
import io
import re
import unicodedata
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import docx
import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser

from rag import Answer, Rag
from rag.errors import EmptyDocument, UndecodableText
from rag.formats import LOADERS, Decoded, _joined_pages
from rag.types import PAGE_BREAK, Document

HEAD = """<title>Ferry sinks | The Daily Gull</title><meta property="og:site_name" content="The Daily Gull">
<meta property="article:published_time" content="2023-05-09T08:00:00Z"><meta name="author" content="Jane Roe">"""
# Some twenty sentences, none of which stands twice: long enough for three small pages.
STORY = [
    "The ferry Aurora sank off the island of Hest early on Tuesday, and all 212 people on board were saved.",
    "Captain Ingrid Moen said that the engine room had filled with water within ten minutes of the first alarm.",
    "Fishing boats from the village of Lurvik were the first to arrive. They took 140 passengers on board in the dark.",
    "The shipping company had postponed an inspection twice. Its spokesman, Pål Berg, called this a normal procedure.",
    "The ministry announced an inquiry that is to report by the end of September. It will be led by a retired judge.",
    "Divers found a crack of three metres in the hull. The crack had been welded in 2019 at a shipyard in Gdynia.",
    "Insurance covers the loss of the ship, but not the cargo of salmon, which was worth nine million crowns.",
    "The route is served by a smaller vessel for now. It carries no lorries, and the island's dairy has complained.",
]


def load(name: str, raw: bytes) -> Decoded:
    return LOADERS[Path(name).suffix](raw, Path(name))


def page_of_html(body: str, head: str = HEAD) -> str:
    return f"<!doctype html><html lang=en><head>{head}</head><body>{body}</body></html>"


def article(paragraphs: Sequence[str]) -> str:
    told = "".join(f"<p>{html.escape(text)}</p>" for text in paragraphs)
    links = "".join(f'<li><a href="/{n}">Section {n}</a></li>' for n in range(12))
    return (
        f"<nav><ul>{links}</ul></nav><article><h1>Ferry sinks</h1>{told}</article><footer>All rights reserved</footer>"
    )


def pdf(browser: Browser, body: str, *, pages_named: bool = True) -> bytes:
    """Return a PDF of small pages, with a running head and page numbers, as a browser prints it."""
    page = browser.new_page()
    page.set_content(page_of_html(f'<div style="font:12pt serif;text-align:justify">{body}</div>'))
    edge = '<div style="font-size:8px;margin:auto">{}</div>'
    printed = page.pdf(
        width="11cm",
        height="11cm",
        margin={"top": "2cm", "bottom": "2cm", "left": "1cm", "right": "1cm"},
        display_header_footer=pages_named,
        header_template=edge.format("The Daily Gull, special report"),
        footer_template=edge.format('<span class="pageNumber"></span>/<span class="totalPages"></span>'),
    )
    page.close()
    return printed


def word(*blocks: str | list[list[str]]) -> bytes:
    document = docx.Document()
    for block in blocks:
        if isinstance(block, str):
            document.add_paragraph(block)
        else:
            table = document.add_table(len(block), len(block[0]))
            for row, cells in zip(table.rows, block, strict=True):
                for cell, text in zip(row.cells, cells, strict=True):
                    cell.text = text
    raw = io.BytesIO()
    document.save(raw)
    return raw.getvalue()


@pytest.fixture(scope="module")
def story_pdf(browser: Browser) -> bytes:
    return pdf(browser, "".join(f"<p>{html.escape(text)}</p>" for text in STORY))


# -- HTML --------------------------------------------------------------------------------------------------------------


def test_a_page_gives_its_article_and_says_who_wrote_it_when() -> None:
    found = load("a.html", page_of_html(article(STORY)).encode())
    assert [line for line in found.text.split("\n\n") if line != "Ferry sinks"] == STORY
    stated = found.stated
    assert (stated.publisher, stated.author, stated.date) == ("The Daily Gull", "Jane Roe", dt.date(2023, 5, 9))
    assert stated.title == "Ferry sinks"


def test_a_date_that_only_the_text_has_is_not_taken_for_the_page_s() -> None:
    dated = [*STORY, "The last accident of this kind happened on 4 March 1999."]
    assert load("a.html", page_of_html(article(dated), "<title>Ferry sinks</title>").encode()).stated.date is None


@pytest.mark.parametrize(
    ("encoding", "declared", "told"),
    [
        ("cp1251", "windows-1251", "Паром затонул у острова рано утром, и всех спасли."),
        ("latin-1", "iso-8859-1", "Pål Bergström says that it is over."),
        ("utf-8", "utf-8", "Pål says that it is “over”."),
        ("utf-8", "no-such-encoding", "Pål says that it is “over”."),
        ("utf-16", "utf-8", "Pål says that it is “over”."),
    ],
)
def test_a_page_is_read_in_the_encoding_that_it_names(encoding: str, declared: str, told: str) -> None:
    page = page_of_html(article([*STORY[:3], told]), f'<meta charset="{declared}"><title>t</title>')
    assert told in load("a.htm", page.encode(encoding)).text


@pytest.mark.parametrize("body", ["", "<script>f()</script>", "<img src=x.png>"])
def test_a_page_without_an_article_is_refused(body: str) -> None:
    with pytest.raises(EmptyDocument, match=r"a\.html: holds no article"):
        load("a.html", page_of_html(body).encode())


def test_a_table_keeps_its_rows_and_nothing_is_made_of_the_line_under_its_head() -> None:
    table = "<table><tr><th>Year</th><th>Tonnes</th></tr><tr><td>2022</td><td>410</td></tr></table>"
    text = load("a.html", page_of_html(article(STORY).replace("</article>", f"{table}</article>")).encode()).text
    assert [" ".join(line.strip(" |").split()) for line in text.split("\n\n")[-2:]] == ["Year | Tonnes", "2022 | 410"]


def test_what_a_page_would_run_or_hide_is_no_text() -> None:
    told = [*STORY[:4], "<script>alert('now')</script>"]
    body = article(told) + "<script>alert('later')</script><style>p{color:red}</style>"
    found = load("a.html", page_of_html(body).encode())
    assert "later" not in found.text
    assert "color:red" not in found.text
    assert told[-1] in found.text  # escaped in the page: it is what the page says, and it stays text


# -- Word --------------------------------------------------------------------------------------------------------------


def test_paragraphs_and_tables_of_a_word_document_come_in_their_order() -> None:
    found = load(
        "a.docx", word("Catches", "In 2022 they rose.", [["Year", "Tonnes"], ["2022", "410"]], "They fell since.")
    )
    assert found.text == "Catches\n\nIn 2022 they rose.\n\nYear | Tonnes\n2022 | 410\n\nThey fell since."
    assert found.stated.author is None  # Word names whoever bought the program


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04 no archive", b"{\\rtf1 text}", word("Text.")[:400]])
def test_what_is_no_word_document_is_refused(raw: bytes) -> None:
    with pytest.raises(UndecodableText, match=r"a\.docx: is no Word document that can be read"):
        load("a.docx", raw)


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused() -> None:
    raw = io.BytesIO(word("Text."))
    with zipfile.ZipFile(raw, "a", zipfile.ZIP_DEFLATED) as packed, packed.open("word/media/image.bmp", "w") as image:
        for _ in range(201):
            image.write(bytes(2**20))
    with pytest.raises(UndecodableText, match=r"a\.docx: unpacks to 202 MB, too much for a document"):
        load("a.docx", raw.getvalue())


# -- PDF ---------------------------------------------------------------------------------------------------------------


def printed(raw: bytes) -> list[str]:
    """Return what stands on each page, on one line, ligatures as letters."""
    pages = pypdf.PdfReader(io.BytesIO(raw)).pages
    return [" ".join(unicodedata.normalize("NFKC", page.extract_text()).split()) for page in pages]


def test_no_paragraph_of_a_pdf_is_torn_by_its_lines_or_pages(story_pdf: bytes) -> None:
    """Two may become one: where the last line of a paragraph is full, nothing tells."""
    text = load("a.pdf", story_pdf).text
    assert text.count(PAGE_BREAK) >= 2
    found = [" ".join(block.split()) for block in re.split(rf"\n{PAGE_BREAK}?\n", text)]
    assert " ".join(found) == " ".join(STORY)
    ends = {len(" ".join(STORY[: n + 1])) for n in range(len(STORY))}
    assert {len(" ".join(found[: n + 1])) for n in range(len(found))} <= ends
    assert len(found) > 2


def test_every_character_stands_on_the_page_that_a_reader_of_the_pdf_sees(story_pdf: bytes) -> None:
    def document_of(text: str) -> Document:
        return Document("d", "a.pdf", "T", None, None, None, text, "0")

    text, pages = load("a.pdf", story_pdf).text, printed(story_pdf)
    document = document_of(text)
    for part, page in zip(text.split(PAGE_BREAK), pages, strict=True):
        assert " ".join(part.split()) in page
    for word_of_it in ("Aurora", "Berg", "salmon", "dairy"):
        assert word_of_it in pages[document.page_of(text.index(word_of_it)) - 1]
    assert document_of("No pages.").page_of(3) is None


def test_running_heads_and_page_numbers_are_left_out_and_two_pages_are_too_few_to_tell() -> None:
    body = [["The Gull", "It began well.", "1"], ["The Gull", "It went on.", "2"], ["The Gull", "It ended.", "3"]]
    assert " ".join(_joined_pages(body).split()) == "It began well. It went on. It ended."
    assert _joined_pages(body[:2]).count("The Gull") == 2


@pytest.mark.parametrize(
    ("pages", "joined"),
    [
        (
            [["They met for inter-", "national talks that took a day."]],
            "They met for international talks that took a day.",
        ),
        (
            [["A well-known man and a little-", "known one; well-known."]],
            "A well-known man and a littleknown one; well-known.",
        ),
        (
            [["The military-", "political bloc met. A military", "parade and political talks."]],
            "The military-political bloc met. A military parade and political talks.",
        ),
        ([["An agreement of the year 2021-", "2022 was signed."]], "An agreement of the year 2021- 2022 was signed."),
    ],
)
def test_words_that_a_line_broke_are_made_whole(pages: list[list[str]], joined: str) -> None:
    assert _joined_pages(pages) == joined


def test_a_list_a_heading_and_a_short_last_line_keep_paragraphs_apart() -> None:
    page = [
        "The council met on Monday and decided three things which",
        "the mayor read out:",
        "1. The bridge is closed.",
        "2. The school stays open until the end of the month, and",
        "lessons go on.",
        "What comes next",
        "The council meets again in June.",
    ]
    assert _joined_pages([page]).split("\n\n") == [
        " ".join(page[:2]),
        page[2],
        " ".join(page[3:5]),
        page[5],
        page[6],
    ]


@given(
    st.lists(st.lists(st.text("abc .-1\u00ad", max_size=12).map(lambda s: " ".join(s.split())), max_size=6), max_size=6)
)
def test_nothing_but_hyphens_and_running_lines_is_lost_and_pages_are_counted(pages: list[list[str]]) -> None:
    text = _joined_pages(pages)
    assert text.count(PAGE_BREAK) == max(len(pages) - 1, 0)
    kept = [c for c in text if c.isalnum()]
    assert len(kept) <= sum(c.isalnum() for page in pages for line in page for c in line)
    if len(pages) < 3:  # nothing can run through all of them
        assert kept == [c for page in pages for line in page for c in line if c.isalnum()]


def test_a_pdf_without_text_is_said_to_be_scanned(browser: Browser) -> None:
    with pytest.raises(EmptyDocument, match=r"a\.pdf: has pages but no text: perhaps it was scanned"):
        load("a.pdf", pdf(browser, "<div></div>", pages_named=False))


def test_a_pdf_behind_a_password_is_refused_and_one_that_only_forbids_changes_is_read(story_pdf: bytes) -> None:
    def locked(**passwords: str) -> bytes:
        writer, raw = pypdf.PdfWriter(io.BytesIO(story_pdf)), io.BytesIO()
        writer.encrypt(**passwords, algorithm="RC4-128")
        writer.write(raw)
        return raw.getvalue()

    with pytest.raises(UndecodableText, match=r"a\.pdf: is locked with a password"):
        load("a.pdf", locked(user_password="secret"))
    assert "Aurora" in load("a.pdf", locked(user_password="", owner_password="secret")).text


@pytest.mark.parametrize("damaged", [b"", b"%PDF-1.7", b"just text", b"%PDF-1.4\n" + bytes(range(256)) * 4])
def test_what_is_no_pdf_is_refused(damaged: bytes) -> None:
    with pytest.raises(UndecodableText, match=r"a\.pdf: is no PDF that can be read"):
        load("a.pdf", damaged)


# -- all the way -------------------------------------------------------------------------------------------------------


def test_a_question_is_answered_from_every_format_with_exact_places_and_pages(
    tmp_path: Path, open_rag: Callable[..., Rag], encoder: object, story_pdf: bytes
) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "sinking.pdf").write_bytes(story_pdf)
    (folder / "minutes.docx").write_bytes(word("Minutes", "The harbour board elected Solveig Dahl as its chair."))
    told = ["The lighthouse of Hest was built in 1868 by the engineer Carl Lund.", *STORY[:3]]
    (folder / "light.html").write_text(page_of_html(article(told)), encoding="utf-8")
    (folder / "broken.pdf").write_bytes(b"nothing")
    (folder / "sources.toml").write_text('["light.html"]\npublisher = "Gull Archive"\n', encoding="utf-8")
    rag = open_rag(encoder=encoder)
    report = rag.ingest([folder])
    assert report.added == ("light.html", "minutes.docx", "sinking.pdf")
    assert [Path(path).name for path, _ in report.failed] == ["broken.pdf"]
    texts = {entry.document.source: entry.document.text for entry in rag.documents()}
    for question, source, said in (
        ("Who was elected chair of the harbour board?", "minutes.docx", "Solveig Dahl"),
        ("Who built the lighthouse of Hest?", "light.html", "Carl Lund"),
        ("What was the cargo of salmon worth?", "sinking.pdf", "nine million crowns"),
    ):
        result = rag.ask(question)
        assert isinstance(result, Answer)
        citation = result.citations[0]
        assert (citation.source, said in citation.quote) == (source, True)
        assert texts[source][citation.span.start : citation.span.end] == citation.quote
        if source == "sinking.pdf":
            assert "salmon" in printed(story_pdf)[citation.page - 1]
        else:
            assert citation.page is None
        if source == "light.html":
            assert (citation.publisher, citation.date) == ("Gull Archive", dt.date(2023, 5, 9))
