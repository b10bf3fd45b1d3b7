"""Every metric of the evaluation: one pure function each, with its formula, its source and its undefined cases.

Of one question: how well the units retrieved (passages or sentences) and the places cited match the gold evidence. Over
many questions: refusals, and what the confidences are worth; arguments are parallel, and the order of questions does
not matter. All of these but the calibration error also take arrays whose last axis is that of the questions, such as
(n_resamples, n_questions), and return a figure for each row. Where it is undefined, a metric of one question raises
ValueError, as the caller should not have asked, and one over many returns nan, as a resample of a bootstrap may lack a
class. Over 300 lines, as all definitions should stand together.
"""

import math
import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import ir_measures
import numpy as np
from ir_measures import RR, Qrel, R, ScoredDoc, nDCG
from numpy.typing import NDArray

from .gold import Part, Place

Flags = Sequence[bool] | NDArray[np.bool_]
Numbers = Sequence[float] | NDArray[np.float64]
Counts = NDArray[np.intp]
Figures = np.float64 | NDArray[np.float64]  # one of plain sequences, else one for each row

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation + "‘’“”–—…")


@dataclass(frozen=True, slots=True)
class Bin:
    """The predictions with a probability in ``[low, high)``; the last bin includes 1.

    n: how many, at least one. probability: their mean. right: the share of them that were right.
    """

    low: float
    high: float
    n: int
    probability: float
    right: float


# Of one question: the ranking. trec_eval computes these, through ir_measures (MacAvaney et al., ECIR 2022).


def recall_at_k(ranking: Sequence[Place], parts: Sequence[Part], *, k: int) -> float:
    """Share of the parts of which one of the first k units holds an alternative: found parts / parts.

    The ranking is cut to k units before it is converted (see ``_entries``), so a unit that holds several parts uses up
    one place. An empty ranking has 0. Raises ValueError without parts, or if k < 1.
    """
    units = _first(ranking, k=k)
    return _measured(R @ (len(units) + len(parts)), units, parts)  # a cutoff that keeps every entry


def all_evidence_at_k(ranking: Sequence[Place], parts: Sequence[Part], *, k: int) -> float:
    """All or nothing: 1 if the first k units hold an alternative of every part, else 0.

    Source: paragraph exact match, Asai et al., ICLR 2020. Undefined as ``recall_at_k``.
    """
    return float(recall_at_k(ranking, parts, k=k) == 1.0)


def reciprocal_rank(ranking: Sequence[Place], parts: Sequence[Part]) -> float:
    """One over the rank of the first unit that holds any alternative of any part; 0 if none does.

    Source: Voorhees, TREC-8, 1999. Raises ValueError without parts.
    """
    return _measured(RR, ranking, parts)


def ndcg(ranking: Sequence[Place], parts: Sequence[Part], *, k: int = 10) -> float:
    """Sum of 1 / log2(rank + 1) over the parts found, divided by that of a ranking with all parts in front.

    Ranks are those of the converted run (see ``_entries``), cut to k entries: where a unit holds several parts, later
    units move down. A part found again gains nothing, like the novelty of alpha-nDCG at alpha = 1. An empty ranking
    has 0. Raises ValueError without parts, or if k < 1.
    Source: Järvelin & Kekäläinen, TOIS 2002, with the discount of trec_eval; Clarke et al., SIGIR 2008.
    """
    return _measured(nDCG @ k, _first(ranking, k=k), parts)


# Of one question: the answer.


def facts_present(text: str, facts: Sequence[re.Pattern[str]]) -> float:
    """All or nothing: 1 if each pattern is found somewhere in the text, else 0; 1 without patterns."""
    return float(all(fact.search(text) for fact in facts))


def token_f1(text: str, reference: str) -> float:
    """F1 of the bags of tokens: 2 * shared / (tokens of the text + tokens of the reference).

    Tokens are lower-cased words without punctuation and without a, an, the. On ASCII text this is the official SQuAD
    score; curly quotes, dashes and the ellipsis are dropped too. Both without tokens 1, one of them 0.
    Source: Rajpurkar et al., EMNLP 2016; no tokens: the script of SQuAD 2.0, Rajpurkar et al., ACL 2018.
    """
    ours, theirs = _tokens(text), _tokens(reference)
    if not ours or not theirs:
        return float(ours == theirs)
    n_shared = sum(min(ours.count(token), theirs.count(token)) for token in set(ours))
    return 2 * n_shared / (len(ours) + len(theirs))


def extra_sentence_rate(cited: Sequence[Place], parts: Sequence[Part]) -> float:
    """Share of the cited places that hold no gold place, of whichever part.

    1 without parts, where whatever is cited is extra. Raises ValueError if none is cited.
    """
    if not cited:
        raise ValueError("no place is cited: the share of extra sentences is undefined")
    gold = [place for part in parts for place in part]
    return sum(not any(unit.holds(place) for place in gold) for unit in cited) / len(cited)


def citation_precision(cited: Sequence[Place], parts: Sequence[Part]) -> float:
    """Share of the cited characters that lie in any gold place; each character of a source counts once.

    0 without parts. Raises ValueError if no character is cited.
    Source: Smith & Troynikov, Evaluating Chunking Strategies for Retrieval, Chroma 2024, there over tokens. Not the
    citation precision of Gao et al., EMNLP 2023, which asks for entailment.
    """
    characters = _characters(cited)
    if not characters:
        raise ValueError("no character is cited: the precision of the citations is undefined")
    gold = _characters(place for part in parts for place in part)
    return len(characters & gold) / len(characters)


def citation_recall(cited: Sequence[Place], parts: Sequence[Part]) -> float:
    """Mean over the parts of the largest share of an alternative's characters that is cited.

    Nothing cited has 0. An alternative without characters cannot be cited. Raises ValueError without parts.
    Source: Smith & Troynikov, as for precision; the alternatives are ours.
    """
    if not parts:
        raise ValueError("the question has no evidence: the recall of the citations is undefined")
    characters = _characters(cited)
    alternatives = [[_characters([place]) for place in part if place.end > place.start] for part in parts]
    return sum(max((len(a & characters) / len(a) for a in part), default=0.0) for part in alternatives) / len(parts)


# Over questions: refusals. To refuse the unanswerable is the positive class.
#
#                     answerable        unanswerable
#     refused         false refusal     right refusal
#     failed          false refusal     missed refusal
#     answered        -                 missed refusal
#
# A failure withholds an answer that exists, and does not say that there is none. Each question stands in one cell, so
# none counts twice.


def refusal_precision(refused: Flags, answerable: Flags, failed: Flags) -> Figures:
    """Right refusals / (right + false refusals); failed answerable questions are false refusals.

    nan if there is neither. Raises ValueError if lengths differ, or a question is both refused and failed.
    Source: Wen et al., TACL 2025, abstention precision; failures are ours.
    """
    n_right, n_false, _ = _refusals(refused, answerable, failed)
    return ratio(n_right, n_right + n_false)


def refusal_recall(refused: Flags, answerable: Flags) -> Figures:
    """Right refusals / unanswerable questions; a failed one was not refused, so it is missed.

    nan if none is unanswerable. Raises ValueError if lengths differ.
    Source: Wen et al., TACL 2025, abstention recall.
    """
    n_right, _, n_unanswerable = _refusals(refused, answerable, np.zeros(np.shape(refused), dtype=bool))
    return ratio(n_right, n_unanswerable)


def refusal_f1(refused: Flags, answerable: Flags, failed: Flags) -> Figures:
    """Harmonic mean of precision and recall: 2 * right / (2 * right + false + missed).

    In all three, a failed question is a false refusal if it is answerable, else a missed one, and never both. 0 if only
    one of precision and recall is defined, nan if neither. Raises ValueError as ``refusal_precision``.
    Source: van Rijsbergen, Information Retrieval, 1979.
    """
    n_right, n_false, n_unanswerable = _refusals(refused, answerable, failed)
    return ratio(2 * n_right, n_right + n_false + n_unanswerable)


def over_refusal(refused: Flags, answerable: Flags, failed: Flags) -> Figures:
    """Share of the answerable questions that were refused or failed.

    nan if none is answerable. Raises ValueError as ``refusal_precision``.
    """
    _, n_false, n_unanswerable = _refusals(refused, answerable, failed)
    return ratio(n_false, np.shape(refused)[-1] - n_unanswerable)


# Over questions: what a confidence is worth.


def risk_coverage(confidences: Numbers, right: Flags) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share wrong among the n most confident, against the coverage n / N, for n = 1..N.

    Equally confident predictions each count with the mean error of their group, which is the expected risk if ties are
    broken at random. Returns coverages (N,) and risks (..., N), empty if there is nothing. Raises ValueError if lengths
    differ or a confidence is nan.
    Source: El-Yaniv & Wiener, JMLR 2010; Geifman & El-Yaniv, NeurIPS 2017.
    """
    scores, were_right = _scored(confidences, right)
    n = scores.shape[-1]
    n_answered = np.arange(1, n + 1)
    group = _groups(-scores)
    n_in_group = _counts(group)
    errors = _counts(group, ~were_right) / np.maximum(n_in_group, 1)
    expected = np.repeat(errors.ravel(), n_in_group.ravel()).reshape(scores.shape)  # the groups of a row fill it
    return n_answered / max(n, 1), np.cumsum(expected, axis=-1) / n_answered


def aurc(confidences: Numbers, right: Flags) -> Figures:
    """Mean of the risks of ``risk_coverage``: the area under that curve, the smaller the better.

    Even the best order pays for each wrong prediction, so it compares orders of equally many of them, or stands beside
    the share wrong. nan if there is nothing. Raises ValueError as ``risk_coverage``.
    Source: Geifman et al., ICLR 2019.
    """
    _, risks = risk_coverage(confidences, right)
    return ratio(risks.sum(axis=-1), risks.shape[-1])


def auroc(confidences: Numbers, answerable: Flags) -> Figures:
    """Share of the pairs of an answerable and an unanswerable question in which the former has more confidence.

    An equal pair counts half: the Mann-Whitney statistic over the number of pairs. nan if a class is missing. Raises
    ValueError if lengths differ or a confidence is nan.  Source: Hanley & McNeil, Radiology 1982.
    """
    scores, positive = _scored(confidences, answerable)
    group = _groups(scores)
    positives, negatives = _counts(group, positive), _counts(group, ~positive)
    negatives_below = np.cumsum(negatives, axis=-1) - negatives
    n_in_order = np.sum(positives * (negatives_below + negatives / 2), axis=-1)
    return ratio(n_in_order, positives.sum(axis=-1) * negatives.sum(axis=-1))


def reliability(probabilities: Numbers, right: Flags, *, n_bins: int = 10) -> list[Bin]:
    """Mean probability against the share right, in bins of equal width, ascending, empty ones left out.

    A probability on an edge belongs to the upper bin, 1 to the last. Raises ValueError if lengths differ, a probability
    is outside [0, 1], or n_bins < 1.  Source: Niculescu-Mizil & Caruana, ICML 2005.
    """
    scores, were_right = _scored(probabilities, right)
    if n_bins < 1:
        raise ValueError(f"n_bins is {n_bins}; it must be at least 1")
    if np.any((scores < 0) | (scores > 1)):
        raise ValueError(f"probabilities must be in [0, 1]; these are in [{scores.min()}, {scores.max()}]")
    edges = np.arange(n_bins + 1) / n_bins  # linspace puts 0.30000000000000004 at 3 / 10
    bin_of = np.minimum(np.searchsorted(edges, scores, side="right") - 1, n_bins - 1)
    n_in_bin = np.bincount(bin_of, minlength=n_bins)
    predicted = np.bincount(bin_of, weights=scores, minlength=n_bins)
    observed = np.bincount(bin_of, weights=were_right, minlength=n_bins)
    return [
        Bin(float(edges[b]), float(edges[b + 1]), int(n), float(predicted[b] / n), float(observed[b] / n))
        for b, n in enumerate(n_in_bin)
        if n
    ]


def ece(probabilities: Numbers, right: Flags, *, n_bins: int = 10) -> float:
    """Calibration error expected of a prediction: the sum over bins of n_in_bin / N * |mean probability - share right|.

    The bins are those of ``reliability``; in the paper, an edge belongs to the lower bin. nan if there is nothing.
    Raises ValueError as ``reliability``.  Source: Guo et al., ICML 2017.
    """
    bins = reliability(probabilities, right, n_bins=n_bins)
    return float(ratio(sum(b.n * abs(b.probability - b.right) for b in bins), len(probabilities)))


# What they share.


def _first(ranking: Sequence[Place], *, k: int) -> Sequence[Place]:
    if k < 1:
        raise ValueError(f"k is {k}; it must be at least 1")
    return ranking[:k]


def _entries(ranking: Sequence[Place], parts: Sequence[Part]) -> list[str]:
    """Document ids of a run in which each unit stands for the parts that it is the first to hold.

    Several parts are as many consecutive finds, none is one irrelevant entry. So each part is found at most once, and a
    perfect ranking scores 1 also where one unit holds several parts, or two units the same.
    """
    missing = dict(enumerate(parts))
    entries: list[str] = []
    for rank, unit in enumerate(ranking):
        found = [i for i, part in missing.items() if any(unit.holds(place) for place in part)]
        entries += [f"part {i}" for i in found] or [f"unit {rank}"]
        for i in found:
            del missing[i]
    return entries


def _measured(measure: ir_measures.Measure, ranking: Sequence[Place], parts: Sequence[Part]) -> float:
    if not parts:
        raise ValueError(f"the question has no evidence: {measure} is undefined")
    run = [ScoredDoc("q", entry, -float(at)) for at, entry in enumerate(_entries(ranking, parts))]
    qrels = [Qrel("q", f"part {i}", 1) for i in range(len(parts))]
    (scored,) = ir_measures.iter_calc([measure], qrels, run)
    return float(scored.value)


def _tokens(text: str) -> list[str]:
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def _characters(places: Iterable[Place]) -> set[tuple[str, int]]:
    return {(place.source, at) for place in places for at in range(place.start, place.end)}


def _refusals(refused: Flags, answerable: Flags, failed: Flags) -> tuple[Counts, Counts, Counts]:
    """How many right refusals, false refusals, and unanswerable questions there are."""
    were_refused, were_answerable, have_failed = (
        np.asarray(flags, dtype=bool) for flags in (refused, answerable, failed)
    )
    lengths = [flags.shape[-1] for flags in (were_refused, were_answerable, have_failed)]
    if len(set(lengths)) > 1:
        raise ValueError(f"lengths differ: {', '.join(map(str, lengths))}")
    if np.any(were_refused & have_failed):
        raise ValueError("a question is both refused and failed; a failure is neither an answer nor a refusal")
    n_right = np.sum(were_refused & ~were_answerable, axis=-1)
    n_false = np.sum((were_refused | have_failed) & were_answerable, axis=-1)
    return n_right, n_false, np.sum(~were_answerable, axis=-1)


def _scored(scores: Numbers, flags: Flags) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    numbers, marks = np.asarray(scores, dtype=np.float64), np.asarray(flags, dtype=bool)
    if numbers.shape[-1] != marks.shape[-1]:
        raise ValueError(f"lengths differ: {numbers.shape[-1]} scores, {marks.shape[-1]} marks")
    if np.isnan(numbers).any():
        raise ValueError("a score is nan; it has no place in an order")
    return numbers, marks


def _groups(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Which group of equal scores each score is in, numbered from the lowest of all rows."""
    return np.unique(scores, return_inverse=True)[1].reshape(scores.shape)


def _counts(group: NDArray[np.intp], marks: NDArray[np.bool_] | None = None) -> Counts:
    """How many scores of each group a row has, or how many that are marked: (..., n_groups)."""
    n_groups = int(group.max(initial=-1)) + 1
    n_rows = math.prod(group.shape[:-1])
    cell = group.reshape(n_rows, -1) + n_groups * np.arange(n_rows)[:, np.newaxis]
    counted = cell.ravel() if marks is None else cell[marks.reshape(cell.shape)]
    return np.bincount(counted, minlength=n_rows * n_groups).reshape(*group.shape[:-1], n_groups)


def ratio(numerator: float | NDArray[Any], denominator: float | NDArray[Any]) -> Figures:
    """Divide, with nan where there is nothing to divide by."""
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    undefined = np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan)
    found: Figures = np.divide(top, bottom, out=undefined, where=bottom != 0)[()]
    return found
