"""Written mode: a language model writes from numbered passages, and only the sentences that pass the gate are kept.

Nothing is yielded unchecked. The engine decides what to do when the model fails.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import takewhile

from rag.errors import ModelFailed
from rag.gate import Supported, Written, check, cite_written, settled, visible, written_sentences
from rag.index import Catalog
from rag.models import PassageEvidence, Support
from rag.text.duplicates import says_the_same
from rag.values import Claim, History, Removed, Source, Span
from rag.writing.language_model import LanguageModel
from rag.writing.model_refusals import is_refusal, refuses
from rag.writing.prompts import (
    ANSWER_TOKENS,
    condense_prompt,
    pack,
    repair_prompt,
    room_for_passages,
    write_prompt,
)

# A laptop reads about 45 tokens per second; 152 of 160 gold questions have evidence in the likeliest four passages.
MAX_PASSAGES = 4
MIN_RELEVANCE = 0.1  # sentence probability below which a claim that cites it is off the question
MAX_ANSWER_CHARS = 4_000  # about three times what is requested; a server may ignore the limit
MAX_QUESTION_TOKENS = 80  # for a follow-up rewritten to stand alone
_MAX_REWRITTEN_CHARS = 400  # a longer "question" is an answer


@dataclass(frozen=True, slots=True)
class Material:
    """The material for a written answer.

    sources: passages, likeliest first. synonyms: groups of names that mean the same. probability: the probability that
    a sentence answers, by document id and span.
    """

    sources: tuple[Source, ...]
    synonyms: Sequence[Sequence[str]]
    probability: Mapping[tuple[str, Span], float]

    @classmethod
    def of(cls, evidence: Sequence[Sequence[PassageEvidence]], catalog: Catalog) -> "Material":
        """Select the likeliest passages from the evidence for each question asked."""
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
        """Return whether the claim cites a sentence that is likely enough to answer."""
        return any(
            probability >= MIN_RELEVANCE and doc_id == citation.doc_id and citation.span.overlaps(span)
            for (doc_id, span), probability in self.probability.items()
            for citation in claim.citations
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """The outcome of writing an answer.

    claims: the yielded claims, in order. removed: what the gate rejected, after at most one repair.
    refused: whether the model wrote that the passages do not answer. problem: why the model stopped early; empty if it
    did not.
    """

    claims: tuple[Claim, ...]
    removed: tuple[Removed, ...]
    refused: bool
    problem: str


def write(
    question: str, material: Material, *, model: LanguageModel, support: Support | None
) -> Generator[Claim, None, Draft]:
    """Yield each claim once it and all before it are settled; return the outcome.

    The model sees the passages that fit its context. No claim is yielded until one may answer the question, and if none
    may, all are removed: a sentence can be true to its passage and still miss the question. support: as for ``check``.
    Never raises ModelFailed: a failure ends the draft with what was settled before.
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
    """Rewrite a follow-up as a standalone question; empty if the model fails or writes something else."""
    try:
        prompt = condense_prompt(question, history)
        said = _all_words(model, prompt, max_tokens=MAX_QUESTION_TOKENS)
        line = next(iter(visible(said).strip().splitlines()), "").strip(" \"“”'")
    except ModelFailed:
        return ""
    return line if 0 < len(line) <= _MAX_REWRITTEN_CHARS and line.endswith("?") else ""


def _all_words(model: LanguageModel, prompt: str, *, max_tokens: int) -> str:
    """Return a model's answer, up to about ``MAX_ANSWER_CHARS``. Raises ModelFailed."""
    text = ""
    with closing(model.stream(prompt, max_tokens=max_tokens)) as words:
        for piece in words:
            text += piece
            if len(text) > MAX_ANSWER_CHARS:
                break
    return text


@dataclass(slots=True)
class _Gate:
    """Tracks the sentences of one answer through the gate, in the order written."""

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
        """The rejected sentences; all of them if no supported one answers the question."""
        if self._answers:
            return [found for found in self._checked if isinstance(found, Removed)]
        return [
            Removed(found.text, "off the question", "no answer to what was asked")
            if isinstance(found, Supported)
            else found
            for found in self._checked
        ]

    def take(self, sentences: Sequence[Written]) -> Iterator[Claim]:
        """Check new sentences and yield the claims they settle, up to the first fault."""
        self._checked += self._check(sentences[self._n_taken :])
        self._n_taken = len(sentences)
        yield from self._settle(list(takewhile(lambda found: isinstance(found, Supported), self._checked)))

    def repair(self, model: LanguageModel) -> None:
        """Let the model rewrite its faulty sentences once; each rewrite takes its place, faulty or not."""
        faulty = [found for found in self._checked if isinstance(found, Removed)]
        if not faulty:
            return
        prompt = repair_prompt(self.question, self.sources, removed=[self._with_its_passage(found) for found in faulty])
        try:
            again = self._check(written_sentences(_all_words(model, prompt, max_tokens=ANSWER_TOKENS)))
        except ModelFailed:
            return  # faulty sentences stay out, with their original fault
        if len(again) == len(faulty):
            second = iter(again)
            self._checked = [next(second) if isinstance(found, Removed) else found for found in self._checked]
        else:  # rewrites cannot be matched up: add the supported ones, keep the faulty ones out
            at = self._checked.index(faulty[0])
            self._checked[at:at] = [found for found in again if isinstance(found, Supported)]

    def finish(self) -> Iterator[Claim]:
        """Yield the remaining supported claims."""
        yield from self._settle(self._checked)

    def _with_its_passage(self, found: Removed) -> Removed:
        """Add to a fault which passage supports the sentence, if any: small models often write the wrong number.

        A passage counts only if it has nearly all the words; the evidence model is not asked.
        """
        for number in range(1, len(self.sources) + 1):
            if isinstance(self._check_one(Written(found.text, (str(number),)), support=None), Supported):
                return replace(found, detail=f"{found.detail}; passage {number} says so")
        return found

    def _check(self, sentences: Sequence[Written]) -> list[Supported | Removed]:
        stated = [sentence for sentence in sentences if not refuses(sentence)]  # a refusal makes no claim to check
        return [self._check_one(sentence, support=self.support) for sentence in stated]

    def _check_one(self, sentence: Written, *, support: Support | None) -> Supported | Removed:
        synonyms = self.material.synonyms
        return check(sentence, self.sources, question=self.question, support=support, synonyms=synonyms)

    def _settle(self, found: Sequence[Supported | Removed]) -> Iterator[Claim]:
        said: list[Supported] = []
        for sentence in found:
            if isinstance(sentence, Supported) and not any(says_the_same(sentence.text, s.text) for s in said):
                said.append(sentence)
        claims = cite_written(said)  # markers count from the front, so yielded ones stay the same
        self._answers = self._answers or any(self.material.may_answer(claim) for claim in claims)
        if self._answers:
            new = claims[len(self.claims) :]
            self.claims += new
            yield from new
