"""How the time of a function grows with its text: pieces that a hostile text repeats, measured in a process of its own.

A pattern that backtracks can take minutes inside one call that nothing interrupts, so the calls are made in a child,
which is given up. Times are processor times and are only compared with one another.
"""

import itertools
import multiprocessing
import time
from collections.abc import Callable, Sequence
from typing import Any

_MARKS = (
    """ .[1 .[1] . [1] x.[1 [ ( (( ) " “ ” ' ‘ 1, 1. 0 % - — – . ... ? !? , ; : * # _ ` / \\ < > <a & @ = ~ ^ | 。 """
)
_WORDS = """ a A A. a.b é e\u0301 中 😀 Aa Aa- http://a. no not never said that who Mr. U.S. e.g. I. and or if """
_SPACES = " |\n|\n\n|a\n|.\n|\t|\u00a0|\u200b|\u3000|. A|a, |* |# |A Aa |more than |Ann said |1 million |may |“a” "
PIECES = (
    *_MARKS.split(),
    *(f"{piece} " for piece in f"{_MARKS} {_WORDS}".split()),
    *_SPACES.split("|"),
)  # fmt: skip
SHORT, LONG = 2_500, 10_000  # characters
MAX_GROWTH = 9.0  # of the time, where the text is four times as long: 4 is linear, 16 quadratic
NOTHING_S = 0.05  # below it a time says nothing
PATIENCE_S = 60.0  # for one piece, which takes less than a second


def pieces(*more: str) -> list[str]:
    """Return the pieces, and every two of the most dangerous ones after one another."""
    mixed = [a + b for a, b in itertools.permutations((".[1", "no ", "; ", "“", "1,", " "), 2)]
    return [piece for piece in dict.fromkeys([*PIECES, *mixed, *more]) if piece]


def too_slow(call: Callable[[str], object], repeated: Sequence[str]) -> list[str]:
    """Return the pieces with which the time of a call grows too fast; the one at work if it had to be given up."""
    fork = multiprocessing.get_context("fork")
    mine, theirs = fork.Pipe(duplex=False)
    child = fork.Process(target=_measure, args=(call, repeated, theirs), daemon=True)
    child.start()
    theirs.close()
    found: list[str] = []
    at_work = repeated[0]
    try:
        while mine.poll(PATIENCE_S):
            at_work, line = mine.recv()
            if at_work is None:
                return found
            found += [line] if line else []
    except EOFError:
        return [*found, f"{at_work!r}: the call failed"]
    finally:
        child.kill()
        child.join()
    return [*found, f"{at_work!r}: given up"]


def _measure(call: Callable[[str], object], repeated: Sequence[str], out: Any) -> None:
    for piece in repeated:
        out.send((piece, ""))
        short, long = ((piece * n)[:n] for n in (SHORT, LONG))
        long_s = _seconds(call, long)
        if long_s < NOTHING_S:
            continue
        short_s = _seconds(call, short)
        if long_s > MAX_GROWTH * short_s:  # measured again: another process may have been in the way
            short_s, long_s = (min(_seconds(call, text) for _ in range(5)) for text in (short, long))
        if long_s > MAX_GROWTH * short_s:
            out.send((piece, f"{piece!r}: {short_s * 1000:.0f} ms, four times as long {long_s * 1000:.0f} ms"))
    out.send((None, ""))


def _seconds(call: Callable[[str], object], text: str) -> float:
    start = time.process_time()
    call(text)
    return time.process_time() - start
