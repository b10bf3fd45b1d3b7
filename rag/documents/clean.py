"""Mark the lines of a text that are not content: navigation, captions, repetitions.

Nothing is rewritten: the result is a list of spans to leave out, each with the rule that matched and its reason. The
rules live in ``clean_rules.toml``, which documents its fields at the top; this module only applies them.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from rag.errors import SettingsError
from rag.values import Exclusion, Span

Role = Literal["publisher", "author", "date", "follow"]  # follow: asks to follow a publisher, whom it names
Where = Literal["head", "tail", "any"]
DEFAULT_RULES = Path(__file__).with_name("clean_rules.toml")


@dataclass(frozen=True, slots=True)
class Line:
    """A non-blank line: ``[start, end)`` without its newline, and its stripped text.

    number: counts all lines from 0, including blank ones, so that adjacent lines differ by 1.
    """

    number: int
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of line to leave out; a line must meet every condition that is set.

    pattern: must match the whole stripped line.
    matcher: the name in ``MATCHERS`` of a condition that no pattern can express.
    min_chars: the shortest line that the "repeated-paragraph" matcher treats as a paragraph.
    max_chars: the longest stripped line; 0 means no limit.
    follows, precedes: the line directly above (below) must have been left out by one of these rules or by this one.
    role: what the line says about the document, for ``rag.documents.describe``.
    """

    name: str
    reason: str
    pattern: re.Pattern[str] | None = None
    matcher: str | None = None
    where: Where = "any"
    min_chars: int = 0
    max_chars: int = 0
    follows: tuple[str, ...] = ()
    precedes: tuple[str, ...] = ()
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules in the order they apply; the first one to match a line gives the reason.

    head_lines, tail_lines: number of non-empty lines after the first, and at the end, that count as head and tail.
    """

    rules: tuple[Rule, ...]
    head_lines: int
    tail_lines: int

    @property
    def roles(self) -> Mapping[str, Role]:
        """Rule name -> what its lines say about the document, for those rules whose lines do."""
        return {rule.name: rule.role for rule in self.rules if rule.role}


def lines(text: str) -> list[Line]:
    r"""Return the non-blank lines of ``text`` in order. Only ``\n`` ends a line."""
    found, start = [], 0
    for number, raw in enumerate(text.split("\n")):
        if stripped := raw.strip():
            found.append(Line(number, start, start + len(raw), stripped))
        start += len(raw) + 1
    return found


def exclusions(text: str, rules: Rules) -> tuple[Exclusion, ...]:
    """Return what to leave out of ``text``: whole lines without their newlines, sorted, not overlapping."""
    all_lines = lines(text)
    taken: dict[int, Rule] = {}  # index into all_lines -> the rule that matched the line
    for rule in rules.rules:
        for index in _candidates(rule, all_lines, rules):
            if index not in taken and _meets(rule, index, all_lines, taken):
                taken[index] = rule
    return tuple(
        Exclusion(Span(all_lines[index].start, all_lines[index].end), rule.name, rule.reason)
        for index, rule in sorted(taken.items())
    )


def load_rules(path: Path = DEFAULT_RULES) -> Rules:
    """Read a rule file. Raises SettingsError, naming the file and the rule, if anything is wrong."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: not a readable rule file: {_one_line(error)}") from error
    unknown = sorted(table.keys() - {"head_lines", "tail_lines", "rule"})
    if unknown:
        raise SettingsError(f"{path}: unknown key {unknown[0]!r}; known are head_lines, tail_lines and [[rule]]")
    entries = table.get("rule", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SettingsError(f"{path}: rules are written as [[rule]] tables")
    rules = tuple(_rule(entry, path) for entry in entries)
    _check_names(rules, path)
    return Rules(rules, _count(table, "head_lines", path), _count(table, "tail_lines", path))


def _candidates(rule: Rule, all_lines: Sequence[Line], rules: Rules) -> Iterator[int]:
    """Yield the indices of the lines a rule examines, bottom up if it depends on the line below."""
    count = len(all_lines)
    # The first line always counts as the title, so the head begins after it.
    bounds = {"head": (1, 1 + rules.head_lines), "tail": (max(1, count - rules.tail_lines), count), "any": (0, count)}
    start, stop = bounds[rule.where]
    indices = range(start, min(stop, count))
    allowed = set(indices)
    chosen = MATCHERS[rule.matcher](all_lines, rule) if rule.matcher else indices
    ordered = sorted(index for index in chosen if index in allowed)
    yield from reversed(ordered) if rule.precedes else ordered


def _meets(rule: Rule, index: int, all_lines: Sequence[Line], taken: Mapping[int, Rule]) -> bool:
    line = all_lines[index]
    if rule.max_chars and len(line.text) > rule.max_chars:
        return False
    if rule.pattern and not rule.pattern.fullmatch(line.text):
        return False
    return all(
        _neighbour_taken_by((*names, rule.name), index, step, all_lines, taken)
        for names, step in ((rule.follows, -1), (rule.precedes, +1))
        if names
    )


def _neighbour_taken_by(
    names: tuple[str, ...], index: int, step: int, all_lines: Sequence[Line], taken: Mapping[int, Rule]
) -> bool:
    neighbour = taken.get(index + step)
    if neighbour is None or neighbour.name not in names:
        return False
    return all_lines[index + step].number - all_lines[index].number == step


def _repeated_title(all_lines: Sequence[Line], _: Rule) -> list[int]:
    """Return the one later line that repeats the first; none if there are several, which make it a refrain."""
    copies = [index for index, line in enumerate(all_lines) if index and line.text == all_lines[0].text]
    return copies if len(copies) == 1 else []


def _repeated_paragraph(all_lines: Sequence[Line], rule: Rule) -> list[int]:
    """Return long lines that occurred before, and shorter lines that continue such a repetition."""
    first: dict[str, int] = {}
    copies: dict[int, int] = {}  # index of a copy -> index of its original
    for index, line in enumerate(all_lines):
        continued = copies.get(index - 1, -2) + 1  # where the copied stretch would continue; -1 if none
        if continued >= 0 and continued < index and all_lines[continued].text == line.text:
            copies[index] = continued
        elif len(line.text) >= rule.min_chars and line.text in first:
            copies[index] = first[line.text]
        else:
            first.setdefault(line.text, index)
    return list(copies)


MATCHERS: Mapping[str, Callable[[Sequence[Line], Rule], list[int]]] = {
    "repeated-title": _repeated_title,
    "repeated-paragraph": _repeated_paragraph,
}


def _rule(entry: Mapping[str, Any], path: Path) -> Rule:
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise SettingsError(f"{path}: every rule needs a name")
    unknown = sorted(entry.keys() - set(Rule.__dataclass_fields__))
    if unknown:
        raise SettingsError(f"{path}: rule {name!r} has the unknown key {unknown[0]!r}")
    if not _text(entry, "reason", name, path):
        raise SettingsError(f"{path}: rule {name!r} needs a reason")
    pattern, matcher = _text(entry, "pattern", name, path), _text(entry, "matcher", name, path)
    if not pattern and not matcher:
        raise SettingsError(f"{path}: rule {name!r} needs a pattern or a matcher, or it would take every line")
    if matcher and matcher not in MATCHERS:
        raise SettingsError(f"{path}: rule {name!r} asks for the matcher {matcher!r}; known are {', '.join(MATCHERS)}")
    return Rule(
        name=name,
        reason=entry["reason"],
        pattern=_compiled(pattern, name, path),
        matcher=matcher or None,
        where=_where(entry, name, path),
        min_chars=_count(entry, "min_chars", path),
        max_chars=_count(entry, "max_chars", path),
        follows=_names(entry, "follows", path),
        precedes=_names(entry, "precedes", path),
        role=_role(entry, name, path),
    )


def _compiled(pattern: str, name: str, path: Path) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise SettingsError(f"{path}: the pattern of rule {name!r} is broken: {_one_line(error)}") from error


def _role(entry: Mapping[str, Any], name: str, path: Path) -> Role | None:
    for role in get_args(Role):
        if entry.get("role") == role:
            known: Role = role
            return known
    if "role" in entry:
        raise SettingsError(
            f"{path}: rule {name!r} has role {entry['role']!r}; it is one of {', '.join(get_args(Role))}"
        )
    return None


def _where(entry: Mapping[str, Any], name: str, path: Path) -> Where:
    for known in get_args(Where):
        if entry.get("where", "any") == known:
            where: Where = known
            return where
    raise SettingsError(f"{path}: rule {name!r} has where = {entry['where']!r}; it is head, tail or any")


def _text(entry: Mapping[str, Any], key: str, name: str, path: Path) -> str:
    text = entry.get(key, "")
    if not isinstance(text, str):
        raise SettingsError(f"{path}: {key} of rule {name!r} is not a text")
    return text


def _count(table: Mapping[str, Any], key: str, path: Path) -> int:
    count = table.get(key, 0)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise SettingsError(f"{path}: {key} is {count!r}; it is a number of at least 0")
    return count


def _names(entry: Mapping[str, Any], key: str, path: Path) -> tuple[str, ...]:
    names = entry.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SettingsError(f"{path}: {key} of rule {entry['name']!r} is a list of rule names")
    return tuple(names)


def _check_names(rules: Sequence[Rule], path: Path) -> None:
    """Reject duplicate names and neighbours that no earlier rule defines; both would silently have no effect."""
    known: set[str] = set()
    for rule in rules:
        if rule.name in known:
            raise SettingsError(f"{path}: two rules are named {rule.name!r}")
        missing = [name for name in (*rule.follows, *rule.precedes) if name not in known]
        if missing:
            raise SettingsError(f"{path}: rule {rule.name!r} refers to {missing[0]!r}, which no earlier rule is named")
        known.add(rule.name)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
