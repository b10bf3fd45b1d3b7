"""Written mode: a language model writes from numbered passages, and only the sentences that pass the gate are kept.

What has not been checked is never yielded. What happens where the model fails is the engine's decision.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import takewhile

from rag.errors import ModelFailed
from rag.gate import Supported, Written, check, cite_written, settled, shown, written_sentences
from rag.index import Catalog
from rag.models import PassageEvidence, Support
from rag.text.duplicates import says_the_same
from rag.values import Claim, History, Removed, Source, Span
from rag.writing.language_model import LanguageModel
from rag.writing.prompts import (
    ANSWER_TOKENS,
    condense_prompt,
    pack,
    repair_prompt,
    room_for_passages,
    write_prompt,
)
from rag.writing.refusals import is_refusal, refuses

# A laptop reads some 45 tokens a second; 152 of 160 gold questions have evidence in the likeliest four.
MAX_PASSAGES = 4
MIN_RELEVANCE = 0.1  # probability of a sentence below which a claim that cites it is beside the point
MAX_ANSWER_CHARS = 4_000  # some three times what is asked for; a server may ignore how much that is
MAX_QUESTION_TOKENS = 80  # of a follow-up made to stand alone
_MAX_REWRITTEN_CHARS = 400  # a longer "question" is an answer


@dataclass(frozen=True, slots=True)
class Material:
    """What an answer is written from.

    sources: passages, likeliest first. synonyms: groups of names that mean the same. probability: of each sentence
    read, by document and place, that it answers.
    """

    sources: tuple[Source, ...]
    synonyms: Sequence[Sequence[str]]
    probability: Mapping[tuple[str, Span], float]

    @classmethod
    def of(cls, evidence: Sequence[Sequence[PassageEvidence]], catalog: Catalog) -> "Material":
        """Return the likeliest passages of what was read for each question asked."""
        read = sorted((each for passages in evidence for each in passages), key=lambda each: -each.probability)
        passages = list({each.passage.id: each.passage for each in read}.values())[:MAX_PASSAGES]
        probability: dict[tuple[str, Span], float] = {}
        for each in read:
            for sentence in each.sentences:
                place = each.passage.doc_id, sentence.span
                probability[place] = max(sentence.probability, probability.get(place, 0.0))
        sources = tuple(Source(passage, catalog.document(passage.doc_id)) for passage in passages)
        return cls(sources, catalog.synonyms(), probability)

    def may_answer(self, claim: Claim) -> bool:
        """Whether a sentence that the claim cites is likely enough to answer."""
        return any(
            probability >= MIN_RELEVANCE and doc_id == citation.doc_id and citation.span.overlaps(span)
            for (doc_id, span), probability in self.probability.items()
            for citation in claim.citations
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """What became of a written answer.

    claims: those that were yielded, in order. removed: what the gate refused, and refused again after one repair.
    refused: the model wrote that the passages do not answer. problem: why the model ended early; empty if it did not.
    """

    claims: tuple[Claim, ...]
    removed: tuple[Removed, ...]
    refused: bool
    problem: str


def write(
    question: str, material: Material, *, model: LanguageModel, support: Support | None
) -> Generator[Claim, None, Draft]:
    """Yield each claim once it and all before it are settled; return what became of the answer.

    The passages that fit the model's context are shown to it. Until a claim may answer the question none is yielded,
    and if none may, all are removed: sentences can be true to their passage and beside the point. support: as for
    ``check``. Raises nothing of the model's: a failure ends the draft, with what was settled before.
    """
    sources = pack(material.sources, max_tokens=room_for_passages(question, context_tokens=model.context_tokens))
    if not sources:
        return Draft(
            (), (), refused=False, problem=f"{model.name}: no passage fits beside this question; ask a shorter one"
        )
    gate = _Gate(question, sources, material, support)
    text, problem = "", ""
    try:
        with closing(model.stream(write_prompt(question, sources), max_tokens=ANSWER_TOKENS)) as words:
            for piece in words:
                text += piece
                if len(text) > MAX_ANSWER_CHARS:
                    problem = (
                        f"{model.name}: went on for more than {MAX_ANSWER_CHARS:,} characters; choose another model"
                    )
                    break
                yield from gate.take(settled(text))
    except ModelFailed as error:
        problem = str(error)
    if not problem:
        yield from gate.take(written_sentences(text))
        gate.repair(model)
    yield from gate.finish()
    return Draft(tuple(gate.claims), tuple(gate.removed), is_refusal(text), problem)


def rewrite(question: str, history: History, *, model: LanguageModel) -> str:
    """Return a follow-up as a question that stands alone; empty if the model fails or writes something else."""
    try:
        prompt = condense_prompt(question, history)
        said = _all_words(model, prompt, max_tokens=MAX_QUESTION_TOKENS)
        line = next(iter(shown(said).strip().splitlines()), "").strip(" \"“”'")
    except ModelFailed:
        return ""
    return line if 0 < len(line) <= _MAX_REWRITTEN_CHARS and line.endswith("?") else ""


def _all_words(model: LanguageModel, prompt: str, *, max_tokens: int) -> str:
    """Return what a model writes, up to ``MAX_ANSWER_CHARS``; raises ModelFailed."""
    text = ""
    with closing(model.stream(prompt, max_tokens=max_tokens)) as words:
        for piece in words:
            text += piece
            if len(text) > MAX_ANSWER_CHARS:
                break
    return text


@dataclass(slots=True)
class _Gate:
    """The sentences of one answer on their way through the gate, in the order they were written."""

    question: str
    sources: Sequence[Source]
    material: Material
    support: Support | None
    claims: list[Claim] = field(default_factory=list)
    _checked: list[Supported | Removed] = field(default_factory=list)
    _n_taken: int = 0
    _answers: bool = False

    @property
    def removed(self) -> list[Removed]:
        """What was refused; all of it, if nothing that stands answers the question."""
        if self._answers:
            return [found for found in self._checked if isinstance(found, Removed)]
        return [
            Removed(found.text, "off the question", "no answer to what was asked")
            if isinstance(found, Supported)
            else found
            for found in self._checked
        ]

    def take(self, sentences: Sequence[Written]) -> Iterator[Claim]:
        """Check what is new; yield the claims that are settled by it: all up to the first fault."""
        self._checked += self._check(sentences[self._n_taken :])
        self._n_taken = len(sentences)
        yield from self._settle(list(takewhile(lambda found: isinstance(found, Supported), self._checked)))

    def repair(self, model: LanguageModel) -> None:
        """Let the model write its faulty sentences again, once; each takes its place, right or wrong."""
        faulty = [found for found in self._checked if isinstance(found, Removed)]
        if not faulty:
            return
        prompt = repair_prompt(self.question, self.sources, removed=[self._with_its_passage(found) for found in faulty])
        try:
            again = self._check(written_sentences(_all_words(model, prompt, max_tokens=ANSWER_TOKENS)))
        except ModelFailed:
            return  # what is faulty stays out, with the fault that is known
        if len(again) == len(faulty):
            second = iter(again)
            self._checked = [next(second) if isinstance(found, Removed) else found for found in self._checked]
        else:  # which is which cannot be told: what stands now is added, and the faulty ones stay out
            at = self._checked.index(faulty[0])
            self._checked[at:at] = [found for found in again if isinstance(found, Supported)]

    def finish(self) -> Iterator[Claim]:
        """Yield what else stands."""
        yield from self._settle(self._checked)

    def _with_its_passage(self, found: Removed) -> Removed:
        """Add to a fault which passage says the sentence, if one does: small models often write the wrong number.

        Only one that has nearly all of its words is named; the evidence model is not asked.
        """
        for number in range(1, len(self.sources) + 1):
            if isinstance(self._check_one(Written(found.text, (str(number),)), support=None), Supported):
                return replace(found, detail=f"{found.detail}; passage {number} says so")
        return found

    def _check(self, sentences: Sequence[Written]) -> list[Supported | Removed]:
        stated = [sentence for sentence in sentences if not refuses(sentence)]  # beside claims it says nothing of them
        return [self._check_one(sentence, support=self.support) for sentence in stated]

    def _check_one(self, sentence: Written, *, support: Support | None) -> Supported | Removed:
        synonyms = self.material.synonyms
        return check(sentence, self.sources, question=self.question, support=support, synonyms=synonyms)

    def _settle(self, found: Sequence[Supported | Removed]) -> Iterator[Claim]:
        said: list[Supported] = []
        for sentence in found:
            if isinstance(sentence, Supported) and not any(says_the_same(sentence.text, s.text) for s in said):
                said.append(sentence)
        claims = cite_written(said)  # markers count from the front, so those of what was yielded stay
        self._answers = self._answers or any(self.material.may_answer(claim) for claim in claims)
        if self._answers:
            new = claims[len(self.claims) :]
            self.claims += new
            yield from new
