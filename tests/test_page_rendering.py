"""What the page shows, as strings: nothing foreign becomes markup, and every marker has its card."""

import datetime as dt
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.types import Abstention, Answer, Citation, Claim, Document, Hit, Passage, Removed, Span, Trace
from rag.web.rendering import Turn, conversation_html, evidence_html, opening_html, shown, unavailable_html

TRACE = Trace("0" * 12, None, {}, 1, {})
HOSTILE = [
    "<script>document.title = 'owned'</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "[1](javascript:alert(1)) ![x](http://evil.example/x.png)",
    "</mark></blockquote></article><iframe src=//evil.example>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "${alert(1)} {{constructor.constructor('alert(1)')()}} `",
    "right\u202eto\u202cleft \x1b[31mred\x07 \u2066isolated\u2069",
]
VOID = {"br", "img", "hr", "input", "link", "meta"}


class Reader(HTMLParser):
    """Reads a page as a browser does: elements with their attributes, and the text of each."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[int] = []
        self.feed(source)
        self.close()
        assert not self._open, f"left open: {[self.elements[i] for i in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for index in self._open:
            self.texts[index] += data

    def text(self, tag: str, class_: str = "") -> list[str]:
        """The texts of all elements of this kind."""
        return [
            text
            for (name, attributes), text in zip(self.elements, self.texts, strict=True)
            if name == tag and class_ in [*(attributes.get("class") or "").split(), ""]
        ]

    def attributes(self, name: str) -> list[str]:
        """The values that an attribute has anywhere."""
        return [attributes[name] or "" for _, attributes in self.elements if name in attributes]


def a_citation(
    text: str, start: int, end: int, *, marker: int = 1, doc_id: str = "d", about: str = "Title"
) -> Citation:
    quote = text[start:end]
    return Citation(marker, doc_id, f"{about}.txt", about, about, dt.date(2025, 12, 29), Span(start, end), quote)


def a_hit(text: str, start: int, end: int, *, doc_id: str = "d", source: str = "a.txt", rank: int = 1) -> Hit:
    return Hit(Passage(f"p{rank}", doc_id, Span(start, end), "", source, text[start:end]), 0.5, rank, "fused")


def an_answer(citations: list[Citation], hits: list[Hit] | None = None, **more: object) -> Answer:
    claims = tuple(Claim(citation.quote, (citation,)) for citation in citations)
    return Answer("Who?", claims, tuple(hits or ()), TRACE, **more)  # type: ignore[arg-type]


def structure(source: str) -> list[tuple[str, list[str]]]:
    return [(tag, sorted(attributes)) for tag, attributes in Reader(source).elements]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_adds_no_element_and_no_attribute_wherever_it_stands(hostile: str) -> None:
    def everything(text: str) -> str:
        document = f"Before. {text} After."
        end = 8 + len(text)
        citation = a_citation(document, 8, end, about=text)
        hit = a_hit(document, 0, len(document), source=text)
        answer = an_answer([citation], [hit], standalone_question=text, removed=(Removed(text, text),))
        refusal = Abstention(text, text, (hit,), TRACE, standalone_question=text + "?")
        turns = [
            Turn(text, result=answer),
            Turn(text, result=refusal),
            Turn(text, problem=text),
            Turn(text, stages=(text,)),
            Turn(text, claims=(Claim(text, (citation,)),)),
        ]
        described = Document("d", text, text, text, text, None, text, "0" * 64)
        return (
            conversation_html(turns) + evidence_html(turns) + opening_html([described], [text]) + unavailable_html(text)
        )

    harmless = "x" * len(hostile)
    assert structure(everything(hostile)) == structure(everything(harmless))
    page = Reader(everything(hostile))
    assert all(target.startswith("#turn-") for target in page.attributes("href"))
    assert not {"src", "style", "onerror", "onmouseover"} & {name for _, a in page.elements for name in a}


@given(st.text())
def test_shown_text_reads_back_as_itself_but_for_characters_that_act(text: str) -> None:
    escaped = shown(text)
    assert not set("<>\"'") & set(escaped)
    read = Reader(f"<p>{escaped}</p>").text("p")[0]
    assert len(read) == len(text)
    assert all(a == b or b in " \ufffd" for a, b in zip(text, read, strict=True))


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\u200f", "\x00", "\x1b", "\x9b", "\ufeff"])
def test_control_and_direction_characters_are_shown_as_replacements(character: str) -> None:
    assert shown(f"a{character}b") == "a\ufffdb"


def test_every_marker_links_to_its_card_and_the_card_back() -> None:
    text = "One is one. Two is two."
    turns = [Turn("Who?", result=an_answer([a_citation(text, 0, 11), a_citation(text, 12, 23, marker=2)]))] * 2
    page = Reader(conversation_html(turns) + evidence_html(turns))
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    assert {target.removeprefix("#") for target in page.attributes("href")} <= set(ids)
    assert page.text("a", "marker") == ["[1]", "[2]", "[1]", "[2]"]
    assert page.text("a", "number") == ["1", "2", "1", "2"]


def test_a_marker_that_comes_twice_is_one_place_to_return_to() -> None:
    citation = a_citation("One is one.", 0, 11)
    turns = [Turn("Who?", result=an_answer([citation, citation]))]
    page = Reader(conversation_html(turns) + evidence_html(turns))
    assert page.attributes("id").count("turn-1-marker-1") == 1
    assert page.text("a", "number") == ["1"]


def test_a_card_shows_the_exact_quote_inside_its_passage() -> None:
    text = "Intro.\n\nThe  sky is blue.\nIt was.  End."
    start = text.index("The")
    citation = a_citation(text, start, start + 17)
    other = a_hit(text, 0, len(text), doc_id="another")
    covering = a_hit(text, 3, len(text) - 1, rank=2)
    page = Reader(evidence_html([Turn("Who?", result=an_answer([citation], [other, covering]))]))
    assert page.text("mark") == ["The  sky is blue."]
    assert page.text("blockquote") == [text[3:-1]]
    assert page.text("span", "place") == [f"Title.txt characters {start}–{start + 17}"]
    assert page.text("p", "about") == ["Title, 29 December 2025"]


def test_without_a_passage_that_holds_all_of_it_the_quote_stands_alone() -> None:
    text = "Intro. The sky is blue. End."
    half = a_hit(text, 0, 12)
    page = Reader(evidence_html([Turn("Who?", result=an_answer([a_citation(text, 7, 23)], [half]))]))
    assert page.text("blockquote") == page.text("mark") == ["The sky is blue."]


def test_a_document_without_publisher_and_date_is_undated() -> None:
    bare = Citation(1, "d", "a.txt", "Title", None, None, Span(0, 3), "Yes")
    page = Reader(evidence_html([Turn("Who?", result=an_answer([bare]))]))
    assert page.text("p", "about") == ["undated"]


def test_an_abstention_names_its_reason_and_lists_the_nearest_passages() -> None:
    text = "Something else entirely."
    refusal = Abstention("Who?", "Nothing reaches 0.50.", (a_hit(text, 0, 24), a_hit(text, 0, 9, rank=2)), TRACE)
    turns = [Turn("Who?", result=refusal)]
    talk, evidence = Reader(conversation_html(turns)), Reader(evidence_html(turns))
    assert talk.text("div", "abstention")
    assert not talk.text("div", "answer")
    assert talk.text("span", "reason") == ["Nothing reaches 0.50."]
    assert evidence.text("blockquote") == [text, text[:9]]
    assert not evidence.text("mark")


def test_a_greeting_is_not_called_unanswered() -> None:
    greeting = Abstention("Hi", "Hello.", (), TRACE, stage="question")
    assert "do not answer" not in conversation_html([Turn("Hi", result=greeting)])


@pytest.mark.parametrize(("standalone", "lines"), [("Who?", 0), ("", 0), ("Who is he?", 1)])
def test_the_rewritten_question_is_shown_when_it_differs(standalone: str, lines: int) -> None:
    answer = an_answer([a_citation("Yes.", 0, 4)], standalone_question=standalone)
    page = Reader(conversation_html([Turn("Who?", result=answer)]))
    assert page.text("p", "asked-as") == [f"Asked as: {standalone}"] * lines


def test_what_a_check_took_out_is_seen_to_be_missing() -> None:
    answer = an_answer([a_citation("Yes.", 0, 4)], removed=(Removed("No.", "unsupported"),))
    page = Reader(conversation_html([Turn("Who?", result=answer)]))
    assert page.text("del") == ["No."]
    assert "No." not in "".join(page.text("div", "answer"))


def test_a_pending_turn_shows_its_stages_and_is_busy() -> None:
    page = Reader(conversation_html([Turn("Who?", stages=("searching 5 documents", "reading 12 passages"))]))
    assert page.text("li") == ["searching 5 documents…", "reading 12 passages…"]
    assert page.attributes("aria-busy") == ["true"]


def test_the_newest_evidence_is_first_and_the_only_one_unfolded() -> None:
    answer = an_answer([a_citation("Yes.", 0, 4)])
    page = Reader(evidence_html([Turn("First?", result=answer), Turn("Second?", result=answer), Turn("Third?")]))
    assert page.text("summary") == ["Second?", "First?"]
    assert page.attributes("open") == [""]


def test_a_problem_is_one_line() -> None:
    assert Reader(conversation_html([Turn("Who?", problem="no index\n  there")])).text("p") == ["no index there"]


def test_the_opening_lists_examples_and_no_more_than_a_dozen_documents() -> None:
    documents = [Document("d", f"{n}.txt", f"Title {n}", None, None, None, "x", "0") for n in range(1500)]
    page = Reader(opening_html(documents, ["Who?"]))
    assert page.attributes("data-question") == ["Who?"]
    assert page.text("h2") == ["To begin with", "1,500 documents"]
    assert page.text("li")[1:] == [*(f"Title {n} undated" for n in range(12)), "and 1,488 more"]
    assert "To begin with" not in opening_html(documents[:1], [])
