"""What the page shows, as strings: nothing foreign becomes markup, and every marker has its card."""

import datetime as dt
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.index import Entry, Listed
from rag.values import Abstention, Answer, Citation, Claim, Document, Exclusion, Hit, Passage, Removed, Span, Trace
from rag.web.turn import Turn
from rag.web.views.choice import choice_html, health_html
from rag.web.views.conversation import conversation_html, opening_html, pending_html, unavailable_html
from rag.web.views.document import Highlight, Pointer, document_html, gone_html, pointed_at
from rag.web.views.evidence import evidence_html
from rag.web.views.library import library_html
from rag.web.views.markup import escaped, said

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
    text: str,
    start: int,
    end: int,
    *,
    marker: int = 1,
    doc_id: str = "d",
    about: str = "Title",
    answer: Span | None = None,
) -> Citation:
    span, date = Span(start, end), dt.date(2025, 12, 29)
    return Citation(marker, doc_id, f"{about}.txt", about, about, date, span, text[start:end], answer)


def a_hit(text: str, start: int, end: int, *, doc_id: str = "d", source: str = "a.txt", rank: int = 1) -> Hit:
    return Hit(Passage(f"p{rank}", doc_id, Span(start, end), "", source, text[start:end]), 0.5, rank, "fused")


def an_answer(citations: list[Citation], hits: list[Hit] | None = None, **more: object) -> Answer:
    claims = tuple(Claim(citation.quote, (citation,)) for citation in citations)
    return Answer("Who?", claims, tuple(hits or ()), TRACE, **more)  # type: ignore[arg-type]


def structure(source: str) -> list[tuple[str, list[str]]]:
    return [(tag, sorted(attributes)) for tag, attributes in Reader(source).elements]


def a_listed(text: str, *, source: str = "a.txt") -> Listed:
    return Listed("d", text, source, text, text, None, dt.datetime(2026, 2, 3, tzinfo=dt.UTC), 3, 1)


def an_entry(text: str, excluded: tuple[Exclusion, ...] = (), *, about: str = "Title") -> Entry:
    document = Document("d", f"{about}.txt", about, about, None, dt.date(2025, 12, 29), text, "0" * 64)
    return Entry(document, about, "r", 1, dt.datetime(2026, 2, 3, tzinfo=dt.UTC), 1, 1, excluded)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_adds_no_element_and_no_attribute_wherever_it_stands(hostile: str) -> None:
    def everything(text: str) -> str:
        document = f"Before. {text} After."
        end = 8 + len(text)
        citation = a_citation(document, 8, end, about=text, answer=Span(8, end))
        hit = a_hit(document, 0, len(document), source=text)
        answer = an_answer(
            [citation], [hit], standalone_question=text, removed=(Removed(text, "unsupported", text),), notice=text
        )
        refusal = Abstention(text, text, (hit,), TRACE, standalone_question=text + "?")
        turns = [
            Turn(text, scope=text, result=answer),
            Turn(text, result=answer, lost=frozenset({1})),
            Turn(text, result=refusal),
            Turn(text, result=refusal, found=(hit,)),
            Turn(text, problem=text),
        ]
        entry = an_entry(document, (Exclusion(Span(2, 5), text, text),), about=text)
        places = [Highlight(text, citation.span, citation.quote, citation.answer), Highlight(text, Span(0, 2), text)]
        return "".join(
            [
                conversation_html(turns),
                pending_html(Turn(text, stages=(text,), claims=(Claim(text, (citation,)),)), 9),
                evidence_html(turns),
                opening_html([a_listed(text, source=text)], [text]),
                unavailable_html(text),
                document_html(entry, places),
                gone_html(text),
                library_html([a_listed(text, source=text)], uploaded=[], unread=[text]),
                choice_html([a_listed(text, source=text)], writes=True),
                health_html(text),
                said(text),
            ]
        )

    harmless = "x" * len(hostile)
    assert structure(everything(hostile)) == structure(everything(harmless))
    page = Reader(everything(hostile))
    assert all(target.startswith("#turn-") for target in page.attributes("href"))
    assert not {"src", "style", "onerror", "onmouseover"} & {name for _, a in page.elements for name in a}


@given(st.text())
def test_shown_text_reads_back_as_itself_but_for_characters_that_act(text: str) -> None:
    html = escaped(text)
    assert not set("<>\"'") & set(html)
    read = Reader(f"<p>{html}</p>").text("p")[0]
    assert len(read) == len(text)
    assert all(a == b or b in " \ufffd" for a, b in zip(text, read, strict=True))


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\u200f", "\x00", "\x1b", "\x9b", "\ufeff"])
def test_control_and_direction_characters_are_shown_as_replacements(character: str) -> None:
    assert escaped(f"a{character}b") == "a\ufffdb"


def test_every_marker_has_its_card_and_the_card_leads_back() -> None:
    text = "One is one. Two is two."
    turns = [Turn("Who?", result=an_answer([a_citation(text, 0, 11), a_citation(text, 12, 23, marker=2)]))] * 2
    page = Reader(conversation_html(turns) + evidence_html(turns))
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    assert {target.removeprefix("#") for target in page.attributes("href")} <= set(ids)
    assert page.text("span", "marker") == ["[1]", "[2]", "[1]", "[2]"]
    assert page.text("a", "number") == ["1", "2", "1", "2"]


def test_a_marker_that_comes_twice_is_one_place_to_return_to_and_one_card() -> None:
    citation = a_citation("One is one.", 0, 11)
    turns = [Turn("Who?", result=an_answer([citation, citation]))]
    page = Reader(conversation_html(turns) + evidence_html(turns))
    assert page.attributes("id").count("turn-1-marker-1") == 1
    assert page.text("a", "number") == ["1"]


def test_cards_of_sources_that_say_the_same_stand_together() -> None:
    citations = [a_citation("Yes.", 0, 4, marker=n, about=f"Paper {n}") for n in (1, 2)]
    answer = Answer("Who?", (Claim("Yes.", tuple(citations)),), (), TRACE)
    page = Reader(evidence_html([Turn("Who?", result=answer)]))
    (together,) = page.text("section", "shared")
    assert together.startswith("2 sources say this:")
    assert "Paper 1" in together
    assert "Paper 2" in together
    talk = Reader(conversation_html([Turn("Who?", result=answer)]))
    assert talk.text("p", "said-by") == ["Paper 1, 29 December 2025 and 1 other source"]


def test_only_quotes_of_different_sources_stand_side_by_side() -> None:
    text = "One is one. Two is two."
    same = an_answer([a_citation(text, 0, 11), a_citation(text, 12, 23, marker=2)])
    other = an_answer([a_citation(text, 0, 11), a_citation(text, 12, 23, marker=2, about="Other")])
    written = an_answer([a_citation(text, 0, 11), a_citation(text, 12, 23, marker=2, about="Other")], mode="written")
    beside = [
        bool(Reader(conversation_html([Turn("?", result=r)])).text("div", "beside")) for r in (same, other, written)
    ]
    assert beside == [False, True, False]


def test_the_short_answer_is_marked_inside_its_quote() -> None:
    citation = a_citation("The sky is blue today.", 0, 22, answer=Span(11, 15))
    turns = [Turn("Which colour?", result=an_answer([citation]))]
    for page in (Reader(conversation_html(turns)), Reader(evidence_html(turns))):
        assert page.text("strong") == ["blue"]


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
    assert page.text("span", "about") == ["Title, 29 December 2025"]


def test_without_a_passage_that_holds_all_of_it_the_quote_stands_alone() -> None:
    text = "Intro. The sky is blue. End."
    half = a_hit(text, 0, 12)
    page = Reader(evidence_html([Turn("Who?", result=an_answer([a_citation(text, 7, 23)], [half]))]))
    assert page.text("blockquote") == page.text("mark") == ["The sky is blue."]


def test_a_document_without_publisher_and_date_is_undated() -> None:
    bare = Citation(1, "d", "a.txt", "Title", None, None, Span(0, 3), "Yes")
    page = Reader(evidence_html([Turn("Who?", result=an_answer([bare]))]))
    assert page.text("span", "about") == ["undated"]


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


def test_the_sentence_that_came_nearest_stands_before_its_passage_and_is_marked_in_it() -> None:
    text = "One <is> one. Two is two."
    near = replace(a_hit(text, 0, 25), sentence=Span(14, 25), score=0.3999, via="evidence")
    turns = (Turn("Who?", result=Abstention("Who?", "Nothing is sure.", (near,), TRACE)),)
    page = Reader(evidence_html(turns))
    assert page.text("span", "snippet") == ["Two is two."]
    assert page.text("span", "place") == ["a.txt characters 14–25 · 39% likely to answer"]
    assert page.text("blockquote") == [text]
    assert page.text("mark") == ["Two is two."]
    assert pointed_at(Pointer(turn=1, nearest=0), turns) == (
        "d",
        [Highlight("Nearest sentence", Span(14, 25), "Two is two.", is_chosen=True)],
    )


def test_a_greeting_is_not_called_unanswered() -> None:
    greeting = Abstention("Hi", "Hello.", (), TRACE, stage="question")
    assert not Reader(conversation_html([Turn("Hi", result=greeting)])).text("strong")
    refusal = replace(greeting, stage="evidence")
    assert Reader(conversation_html([Turn("Hi", result=refusal)])).text("strong") == [
        "No sure answer in the documents."
    ]


@pytest.mark.parametrize(("standalone", "lines"), [("Who?", 0), ("", 0), ("Who is he?", 1)])
def test_the_rewritten_question_is_shown_when_it_differs(standalone: str, lines: int) -> None:
    answer = an_answer([a_citation("Yes.", 0, 4)], standalone_question=standalone)
    page = Reader(conversation_html([Turn("Who?", result=answer)]))
    assert page.text("p", "asked-as") == [f"Asked as: {standalone}"] * lines


@pytest.mark.parametrize("answered", [True, False])
def test_what_a_check_took_out_can_be_unfolded_with_its_fault(answered: bool) -> None:
    removed = (Removed("No.", "wrong number", "the passage has no 7"),)
    result = (
        an_answer([a_citation("Yes.", 0, 4)], removed=removed)
        if answered
        else Abstention("Who?", "Nothing stood.", (), TRACE, "gate", removed=removed)
    )
    page = Reader(conversation_html([Turn("Who?", result=result)]))
    (folded,) = page.text("details", "removed")
    assert folded.startswith("1 sentence not supported by the documents")
    assert page.text("del") == ["No."]
    assert page.text("span", "fault") == ["wrong number: the passage has no 7"]
    assert "No." not in "".join(page.text("div", "answer"))


def test_a_notice_of_the_engine_is_shown() -> None:
    answer = an_answer([a_citation("Yes.", 0, 4)], notice="The model did not answer; these are quotes.")
    page = Reader(conversation_html([Turn("Who?", result=answer)]))
    assert page.text("p", "notice") == ["The model did not answer; these are quotes."]


def test_a_turn_in_the_making_shows_where_it_is_and_is_busy() -> None:
    page = Reader(pending_html(Turn("Who?", stages=("searching 5 documents", "reading 12 passages")), 1))
    assert page.text("p", "stage") == ["reading 12 passages…"]
    assert page.attributes("aria-busy") == ["true"]


def test_only_the_last_turn_can_be_asked_again() -> None:
    answer = an_answer([a_citation("Yes.", 0, 4)])
    page = Reader(conversation_html([Turn("First?", result=answer), Turn("Second?", result=answer)]))
    assert page.attributes("data-edit") == ["1", "2"]
    assert page.attributes("data-again") == ["2"]


def test_the_newest_evidence_is_first_and_the_only_one_unfolded() -> None:
    answer = an_answer([a_citation("Yes.", 0, 4)])
    page = Reader(
        evidence_html([Turn("First?", result=answer), Turn("Second?", result=answer), Turn("3?", problem="x")])
    )
    assert page.text("summary") == ["Second?", "First?"]
    assert page.attributes("open") == [""]


def test_a_problem_is_one_line() -> None:
    page = Reader(conversation_html([Turn("Who?", problem="no index\n  there")]))
    assert page.text("p", "problem") == ["no index there"]


def test_the_opening_lists_examples_and_no_more_than_a_dozen_documents() -> None:
    documents = [replace(a_listed(f"Title {n}"), publisher=None) for n in range(1500)]
    page = Reader(opening_html(documents, ["Who?"]))
    assert page.attributes("data-question") == ["Who?"]
    assert page.text("h2") == ["To begin with", "1,500 documents"]
    assert page.text("li")[1:] == [*(f"Title {n} undated" for n in range(12)), "and 1,488 more"]
    assert "To begin with" not in opening_html(documents[:1], [])


# -- documents ---------------------------------------------------------------------------------------------------------


@given(
    st.text(alphabet="ab \n<&\u202e", min_size=1, max_size=60),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20), st.booleans()), max_size=4),
)
def test_a_document_reads_as_its_text_however_it_is_marked(text: str, ranges: list[tuple[int, int, bool]]) -> None:
    spans = [(Span(a, min(a + n, len(text))), out) for a, n, out in ranges if a < len(text)]
    places = [Highlight("Footnote 1", span, span.cut(text)) for span, out in spans if not out]
    excluded = tuple(Exclusion(span, "rule", "reason") for span, out in spans if out)
    page = Reader(document_html(an_entry(text, excluded), places))
    inside = page.texts[[a.get("class") for _, a in page.elements].index("text")]
    assert inside == "".join(line for line in shown_lines(text))
    assert not page.text("p", "problem")
    for span in (place.span for place in places):
        marked = page.text("mark")
        assert all(piece in "".join(marked) for piece in shown_lines(span.cut(text)))


def shown_lines(text: str) -> list[str]:
    """The lines that are not blank, with what would act replaced."""
    return [line.replace("\u202e", "\ufffd") for line in text.split("\n") if line.strip()]


def test_a_quote_that_does_not_stand_in_its_place_is_a_line_and_no_mark() -> None:
    page = Reader(document_html(an_entry("The sky is blue."), [Highlight("Footnote 3", Span(4, 7), "sea")]))
    assert page.text("mark") == []
    assert page.text("p", "problem") == ["Footnote 3: the document does not have the quoted characters there."]


def test_quotes_are_stepped_through_in_the_order_of_the_text() -> None:
    text = "One is one. Two is two."
    places = [
        Highlight("Footnote 1", Span(12, 23), text[12:23], is_chosen=True),
        Highlight("Footnote 2", Span(0, 11), text[:11]),
    ]
    page = Reader(document_html(an_entry(text), places))
    assert page.attributes("data-place") == ["0", "1"]
    assert page.text("mark", "chosen") == [text[12:23]]
    assert page.text("output") == ["1 of 2"]


def test_a_pointer_leads_to_all_quotes_of_the_same_document() -> None:
    text = "One is one. Two is two."
    citations = [
        a_citation(text, 0, 11),
        a_citation(text, 12, 23, marker=2),
        a_citation(text, 0, 3, marker=3, doc_id="e"),
    ]
    turns = (Turn("Who?", result=an_answer(citations)),)
    doc_id, places = pointed_at(Pointer(turn=1, marker=2), turns)
    assert doc_id == "d"
    assert [(place.label, place.is_chosen) for place in places] == [("Footnote 1", False), ("Footnote 2", True)]
    for wrong in (
        Pointer(turn=2, marker=1),
        Pointer(turn=1, marker=4),
        Pointer(turn=1, nearest=0),
        Pointer(turn=1, found=0),
    ):
        with pytest.raises(LookupError):
            pointed_at(wrong, turns)


# -- the library -------------------------------------------------------------------------------------------------------


def test_a_library_says_of_each_document_what_is_known_and_what_deleting_does() -> None:
    own, other = a_listed("Title"), replace(a_listed("Other", source="b.txt"), doc_id="e", root="/reports")
    page = Reader(library_html([own, other], uploaded=["d"], unread=["c.md"]))
    assert page.text("tr")[1:] == [
        "Title a.txtTitleundated33 February 20261 lineDelete",
        "Other b.txtOtherundated33 February 20261 lineDelete",
    ]
    first, second = page.attributes("data-confirm")
    assert first.endswith("Its file is deleted with it.")
    assert second.endswith("Its file stays where it is: /reports.")
    assert page.text("p", "problem") == ["1 uploaded file not in the index yet: c.md. Read the files again."]


def test_an_empty_library_says_what_to_do() -> None:
    assert "No documents yet" in library_html([], uploaded=[], unread=[])


def test_the_mode_can_be_chosen_only_where_a_model_is_configured() -> None:
    assert "written" not in choice_html([], writes=False)
    assert Reader(choice_html([], writes=True)).attributes("value") == ["", "quotes", "written"]
    assert Reader(health_html(None)).text("p") == ["The language model answers."]
    assert Reader(health_html("no route")).text("p", "bad") == ["no route"]
