"""Text out of HTML, Word and PDF: real files, made as users' programs make them."""

import datetime as dt
import html
import io
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
from rag.documents import LOADERS
from rag.documents.formats.pdf import joined
from rag.documents.formats.plain import Decoded
from rag.errors import EmptyDocument, UndecodableText
from rag.values import PAGE_BREAK, Document

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


def linked(json: str) -> str:
    return f'<script type="application/ld+json">{json}</script>'


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
    assert stated.title == "Ferry sinks"  # without the name of who publishes it


@pytest.mark.parametrize(
    ("head", "body", "date"),
    [
        ('<meta name=date content="2019-05-02">', "", dt.date(2019, 5, 2)),
        (linked('{"@type": "NewsArticle", "datePublished": "2020-01-02T08:00Z"}'), "", dt.date(2020, 1, 2)),
        (linked('{"@graph": [{"@type": ["Thing"]}, 7]}'), "", None),
        (linked("{no json"), "", None),
        ('<meta name=date content="2019-05">', "", None),
        ('<meta property="article:published_time" content="2023-02-31">', "", None),
        ('<meta property="article:modified_time" content="2023-02-03">', "", None),
        ("", "<p>On <time>4 March 1999</time> it happened.</p>", None),
        ("", "<p>Posted on 12 May 2011.</p>", None),
        ("", '<div class="date">2011-05-12</div>', None),
    ],
)
def test_a_date_is_that_of_the_page_s_own_fields_or_none(head: str, body: str, date: dt.date | None) -> None:
    page = page_of_html(article(STORY).replace("</article>", f"{body}</article>"), f"<title>t</title>{head}")
    assert load("a.html", page.encode()).stated.date == date


@pytest.mark.parametrize(
    ("encoding", "declared", "told"),
    [
        ("cp1251", "windows-1251", "Паром затонул у острова рано утром, и всех спасли."),
        ("latin-1", "iso-8859-1", "Pål Bergström says that it is over."),
        ("utf-8", "utf-8", "Pål says that it is “over”."),
        ("utf-8", "no-such-encoding", "Pål says that it is “over”."),
        ("utf-16", "utf-8", "Pål says that it is “over”."),
        ("utf-8", "utf-16", "Pål says that it is “over”."),
        ("utf-8", "undefined", "Pål says that it is “over”."),
        ("utf-8", "punycode", "Pål says that it is “over”."),
        ("utf-8", "unicode_escape", "Pål says that it is “over”, and \\n is no line."),
        ("cp1252", "iso-8859-1", "Pål says – for 5 € – that it is “over”."),
    ],
)
def test_a_page_is_read_in_the_encoding_that_it_names(encoding: str, declared: str, told: str) -> None:
    page = page_of_html(article([*STORY[:3], told]), f'<meta charset="{declared}"><title>t</title>')
    assert told in load("a.htm", page.encode(encoding)).text


@pytest.mark.parametrize("body", ["", "<script>f()</script>", "<img src=x.png>"])
def test_a_page_without_an_article_is_refused(body: str) -> None:
    with pytest.raises(EmptyDocument, match=r"a\.html: no text could be taken out of it"):
        load("a.html", page_of_html(body).encode())


def test_a_table_keeps_its_rows_and_nothing_is_made_of_the_line_under_its_head() -> None:
    table = "<table><tr><th>Year</th><th>Tonnes</th></tr><tr><td>2022</td><td>410</td></tr></table>"
    text = load("a.html", page_of_html(article(STORY).replace("</article>", f"{table}</article>")).encode()).text
    assert [" ".join(line.strip(" |").split()) for line in text.split("\n\n")[-2:]] == ["Year | Tonnes", "2022 | 410"]


def test_what_a_page_would_run_or_takes_back_is_no_text() -> None:
    told = [*STORY[:4], "<script>alert('now')</script>"]
    body = article(told).replace("and all 212 people", "<del>but not</del> and all 212 people")
    body = body.replace("</article>", "<p hidden>Never shown to anybody.</p></article><script>later()</script>")
    text = load("a.html", page_of_html(body + "<style>p{color:red}</style>").encode()).text
    assert not [said for said in ("later", "color:red", "but not", "Never shown") if said in text]
    assert told[-1] in text  # escaped in the page: it is what the page says, and it stays text


def test_all_articles_of_a_page_are_read() -> None:
    text = load("a.html", page_of_html(article(STORY[:4]) + article(STORY[4:])).encode()).text
    assert [said for said in STORY if said not in text] == []


@pytest.mark.parametrize("reference", ["&#12;", "&#x1b;", "&#8;", "&#xFFFE;", "&#xD800;", "&#9999999;", "\0", "\f"])
def test_a_character_that_no_text_has_costs_nothing_but_itself(reference: str) -> None:
    page = page_of_html(article([f"Well{reference}said.", *STORY]), '<meta charset="utf-8"><title>t</title>')
    text = load("a.html", page.replace("&amp;#", "&#").encode()).text
    assert "Well said." in text
    assert STORY[-1] in text


def test_a_page_that_is_nested_beyond_reason_is_refused_in_one_line() -> None:
    deep = "<div>" * 5000 + "".join(f"<p>{told}</p>" for told in STORY)
    with pytest.raises((EmptyDocument, UndecodableText), match=r"a\.html: "):
        load("a.html", page_of_html(deep).encode())


# -- Word --------------------------------------------------------------------------------------------------------------


def test_paragraphs_and_tables_of_a_word_document_come_in_their_order() -> None:
    found = load(
        "a.docx", word("Catches", "In 2022 they rose.", [["Year", "Tonnes"], ["2022", "410"]], "They fell since.")
    )
    assert found.text == "Catches\n\nIn 2022 they rose.\n\nYear | Tonnes\n2022 | 410\n\nThey fell since."
    assert found.stated.author is None  # Word names whoever bought the program


def word_xml(body: str) -> bytes:
    """Return a Word document with this body."""
    raw, made = io.BytesIO(word("x")), io.BytesIO()
    w = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    with zipfile.ZipFile(raw) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            document = f"<w:document {w}><w:body>{body}</w:body></w:document>"
            new.writestr(name, document if name == "word/document.xml" else old.read(name))
    return made.getvalue()


def run(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


@pytest.mark.parametrize(
    ("paragraph", "text"),
    [
        (run("The ferry did ") + f"<w:ins>{run('not ')}</w:ins>" + run("sink."), "The ferry did not sink."),
        (run("It ") + "<w:del><w:r><w:delText>never </w:delText></w:r></w:del>" + run("sank."), "It sank."),
        (run("It ") + f"<w:moveFrom>{run('once ')}</w:moveFrom>" + run("sank."), "It sank."),
        (run("Chair: ") + f"<w:sdt><w:sdtContent>{run('Dahl')}</w:sdtContent></w:sdt>" + run("."), "Chair: Dahl."),
        (f"<w:fldSimple>{run('410')}</w:fldSimple>" + run(" tonnes."), "410 tonnes."),
        (run("In ") + f"<w:smartTag>{run('Oslo')}</w:smartTag>" + run(" it rained."), "In Oslo it rained."),
        (run("One") + "<w:r><w:br/></w:r>" + run("two"), "One two"),
        (run("two") + "<w:r><w:noBreakHyphen/></w:r>" + run("three"), "two-three"),
        (run("Seen") + "<w:r><w:rPr><w:vanish/></w:rPr><w:t> unseen</w:t></w:r>" + run("."), "Seen."),
        (f"<w:hyperlink>{run('A link')}</w:hyperlink>" + run(" stays."), "A link stays."),
    ],
)
def test_a_paragraph_says_what_it_says_with_all_changes_accepted(paragraph: str, text: str) -> None:
    assert load("a.docx", word_xml(f"<w:p>{paragraph}</w:p>")).text == text


def test_controls_text_boxes_and_tables_in_tables_are_read() -> None:
    def row(*cells: str) -> str:
        return "<w:tr>" + "".join(f"<w:tc>{cell}</w:tc>" for cell in cells) + "</w:tr>"

    def p(text: str) -> str:
        return f"<w:p>{run(text)}</w:p>"

    def table(*rows: str) -> str:
        return f"<w:tbl>{''.join(rows)}</w:tbl>"

    first, further = (f'<w:tcPr><w:vMerge w:val="{merged}"/></w:tcPr>' for merged in ("restart", "continue"))
    body = (
        f"<w:sdt><w:sdtContent>{p('In a control.')}</w:sdtContent></w:sdt>"
        f"<w:p>{run('Beside')}<w:r><w:pict><w:txbxContent>{p('In a box.')}</w:txbxContent></w:pict></w:r></w:p>"
        + table(row(p("Tonnes"), p("410"), p("410"), p("395")), row(p(""), p("two") + p("lines"), p(""), p("9")))
        + table(row(first + p("Oslo"), p("1")), row(further + p(""), p("2")))
        + table(row(p("outer") + table(row(p("inner")))))
    )
    assert load("a.docx", word_xml(body)).text.split("\n\n") == [
        "In a control.",
        "Beside",
        "In a box.",
        "Tonnes | 410 | 410 | 395\n | two lines |  | 9",
        "Oslo | 1\n | 2",
        "outer inner",
    ]


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
    assert text.count(PAGE_BREAK) >= 3
    found = [" ".join(block.split()) for block in text.split("\n\n")]
    assert " ".join(found) == " ".join(STORY)
    ends = {len(" ".join(STORY[: n + 1])) for n in range(len(STORY))}
    assert {len(" ".join(found[: n + 1])) for n in range(len(found))} <= ends
    assert len(found) > 2


def test_every_character_stands_on_the_page_that_a_reader_of_the_pdf_sees(story_pdf: bytes) -> None:
    def document_of(text: str) -> Document:
        return Document("d", "a.pdf", "T", None, None, None, text, "0")

    text, pages = load("a.pdf", story_pdf).text, printed(story_pdf)
    document = document_of(text)
    assert text.endswith(PAGE_BREAK)
    for part, page in zip(text[:-1].split(PAGE_BREAK), pages, strict=True):
        assert " ".join(part.split()) in page
    for word_of_it in ("Aurora", "Berg", "salmon", "dairy"):
        assert word_of_it in pages[document.page_of(text.index(word_of_it)) - 1]
    assert document_of("No pages.").page_of(3) is None


def test_a_pdf_of_one_page_has_a_page(browser: Browser) -> None:
    text = load("a.pdf", pdf(browser, f"<p>{STORY[0]}</p>", pages_named=False)).text
    assert (text.count(PAGE_BREAK), " ".join(text.split())) == (1, STORY[0])


@pytest.mark.parametrize(
    "edges",
    [
        [("The Gull", "1"), ("The Gull", "2"), ("The Gull", "3")],
        [("The Gull", "page 7 of 9"), ("The Gull", "page 8 of 9"), ("The Gull", "page 9 of 9")],
        [("The Gull in 2022", "1/3"), ("The Gull in 2022", "2/3"), ("The Gull in 2022", "3/3")],
        [("A long running title 4", ""), ("A long running title 5", ""), ("A long running title 6", "")],
    ],
)
def test_running_heads_and_page_numbers_are_left_out(edges: list[tuple[str, str]]) -> None:
    said = ["It began well.", "It went on.", "It ended."]
    pages = [[head, *([""] * 2), text, foot] for (head, foot), text in zip(edges, said, strict=True)]
    assert " ".join(joined(pages).replace(PAGE_BREAK, "").split()) == " ".join(said)
    assert joined(pages[:2]).count(edges[0][0][:8]) == 2  # two pages are too few to tell


@pytest.mark.parametrize(
    "lines",
    [
        ["1990 300", "1991 310", "1992 320", "1993 330", "1995 340", "1996 350", "1997 360"],
        ["Chapter 1", "Chapter 2", "Chapter 3"],
        ["Fee: 100 euros.", "Fee: 200 euros.", "Fee: 300 euros."],
        ["12", "40", "95", "3"],
        ["2002 395", "2003 395", "2009 395"],
    ],
)
def test_lines_that_merely_look_alike_stay(lines: list[str]) -> None:
    pages = [[line, f"Of {name} much is told here.", line] for line, name in zip(lines, "ABCDEFG", strict=False)]
    assert " ".join(joined(pages).replace(PAGE_BREAK, " ").split()) == " ".join(" ".join(page) for page in pages)


def test_a_document_of_many_pages_is_read_in_one_go() -> None:
    page = [f"Line {n} of a page that goes on and on and on and" for n in range(50)]
    assert joined([page] * 1500).count(PAGE_BREAK) == 1500  # a minute and more, when each line copied all before it


@pytest.mark.parametrize(
    ("pages", "text"),
    [
        (
            [["They met for inter-", "national talks that took a day."]],
            "They met for international talks that took a day.",
        ),
        (
            [["A well-known man and a little-", "known one; well-known."]],
            "A well-known man and a little-known one; well-known.",
        ),
        (
            [["The military-", "political bloc met. A military", "parade and political talks."]],
            "The military-political bloc met. A military parade and political talks.",
        ),
        ([["An agreement of the year 2021-", "2022 was signed."]], "An agreement of the year 2021- 2022 was signed."),
        ([["A state-of-the-", "art ship."]], "A state-of-the-art ship."),
        ([["Some ten-", "twenty men."]], "Some ten-twenty men."),
        ([["Die Zusammen-", "arbeit im Grund-", "gesetz."]], "Die Zusammenarbeit im Grundgesetz."),
        ([["un acto bien-", "venido."]], "un acto bienvenido."),
        ([["un homme mal-", "heureux."]], "un homme malheureux."),
        ([["They met for inter-"], ["national talks."]], f"They met for international{PAGE_BREAK} talks."),
        ([["They met for inter-"], [], ["national"], ["talks."]], f"They met for international{PAGE_BREAK * 3} talks."),
        (
            [["They met for inter-"], *[[]] * 20, ["national talks."]],
            f"They met for international{PAGE_BREAK * 21} talks.",
        ),
    ],
)
def test_words_that_a_line_broke_are_made_whole(pages: list[list[str]], text: str) -> None:
    assert joined(pages).rstrip(PAGE_BREAK) == text


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
    assert joined([page]).rstrip(PAGE_BREAK).split("\n\n") == [
        " ".join(page[:2]),
        page[2],
        " ".join(page[3:5]),
        page[5],
        page[6],
    ]


@given(st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=6))
def test_no_line_is_lost_that_does_not_run_through_the_pages(pages: list[list[int]]) -> None:
    numbered = [
        [
            ("", "word", "a Word", "more.")[kind] + f" {'abcdef'[n]}{'uvwxyz'[i]}" * bool(kind)
            for i, kind in enumerate(page)
        ]
        for n, page in enumerate(pages)
    ]
    text = joined(numbered)
    assert text.count(PAGE_BREAK) == len(pages)
    assert text.split() == [part for page in numbered for line in page for part in line.split()]


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
