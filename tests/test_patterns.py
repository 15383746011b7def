"""No pattern over a stranger's text takes more than linear time: every one is run on hostile texts of n and 2n.

A text is hostile when it begins like a match again and again and never becomes one. It is made of the pattern's own
parse tree. Texts grow until a run can be measured, so that no test depends on the machine's pace.
"""

import ast
import importlib
import pkgutil
import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import integrations
import orchestration
import receiver

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import sre_constants as sre
    import sre_parse

ROOT = Path(__file__).parents[1]
FUNCTIONS = {"compile", "search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
FROM_THE_BEGINNING = {"match", "fullmatch"}
EVERYWHERE = frozenset({"sub"})
"""It looks at every place of a text, and goes on behind what it finds."""
SHORT_LENGTHS, LENGTHS = (12, 18, 24, 30), (250, 1_000, 4_000)
MEASURABLE_SECONDS = 0.002
MOST_RATIO = 3.0
"""Of the times for 2n and n: linear is 2, quadratic 4."""


@dataclass(frozen=True)
class Usage:
    """A pattern and how the project uses it."""

    place: str
    pattern: re.Pattern[Any]
    methods: frozenset[str]


def modules() -> Iterator[ModuleType]:
    for package in (receiver, integrations, orchestration):
        yield package
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not info.name.endswith("__main__"):
                yield importlib.import_module(info.name)


def compiled_in(value: Any, depth: int = 2) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif depth and type(value) is dict:
        for inner in (*value.keys(), *value.values()):
            yield from compiled_in(inner, depth - 1)
    elif depth and type(value) in (list, tuple, set, frozenset):
        for inner in value:
            yield from compiled_in(inner, depth - 1)
    elif depth and isinstance(value, type):
        for inner in vars(value).values():
            yield from compiled_in(inner, depth - 1)


def uses(tree: ast.AST) -> dict[str, set[str]]:
    """By the name of a pattern, the methods that a module calls on it; a name that is handed on is `passed`."""
    methods: dict[str, set[str]] = {}
    called = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            methods.setdefault(node.value.id, set()).add(node.attr)
            called.add(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node not in called:
            methods.setdefault(node.id, set()).add("passed")
    return methods


def literals(tree: ast.AST) -> Iterator[tuple[int, str, str | bytes, int]]:
    """Line, function, text and flags of every pattern that a call of `re` holds."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        owner, pattern = node.func.value, node.args[0]
        is_re = isinstance(owner, ast.Name) and owner.id == "re" and node.func.attr in FUNCTIONS
        if is_re and isinstance(pattern, ast.Constant) and isinstance(pattern.value, str | bytes):
            names = {flag.attr for flag in ast.walk(node) if isinstance(flag, ast.Attribute)}
            flags = [re.RegexFlag[name] for name in names & set(re.RegexFlag.__members__)]
            yield node.lineno, node.func.attr, pattern.value, sum(set(flags))


def of_macros() -> Iterator[tuple[str, str]]:
    """Patterns that dbt's macros hand to Python. Those of DuckDB's own functions are RE2's, which is linear."""
    for file in sorted((ROOT / "dbt_project").rglob("*.sql")):
        for call in re.finditer(
            r'modules\.re\.\w+\(\s*("(?:[^"\\]|\\.)*")', file.read_text(encoding="utf-8")
        ):
            yield f"{file.relative_to(ROOT)}", ast.literal_eval(call[1])


def all_patterns() -> list[Usage]:
    usages: dict[tuple[Any, int], Usage] = {}

    def add(place: str, pattern: re.Pattern[Any], methods: set[str]) -> None:
        key = (pattern.pattern, pattern.flags)
        tried = frozenset(methods) if methods and methods <= FROM_THE_BEGINNING else EVERYWHERE
        known = usages.get(key)
        usages[key] = Usage(place, pattern, frozenset(tried | (known.methods if known else frozenset())))

    for module in modules():
        path = Path(module.__file__ or "")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        methods = uses(tree)
        for name, value in vars(module).items():
            for pattern in compiled_in(value):
                add(f"{module.__name__}.{name}", pattern, methods.get(name, set()))
        for line, function, text, flags in literals(tree):
            if function != "compile":
                add(f"{module.__name__}:{line}", re.compile(text, flags), {function})
    for place, text in of_macros():
        add(place, re.compile(text), set())
    return sorted(usages.values(), key=lambda one: one.place)


def samples(tree: Any, count: int) -> list[str]:
    """Texts that match a parsed pattern, with `count` turns of every repetition that may have them; a few, not all."""
    texts = [""]
    for kind, value in tree:
        texts = [before + after for before in texts for after in _samples_of(kind, value, count)][:8]
    return texts


def _samples_of(kind: Any, value: Any, count: int) -> list[str]:
    if kind is sre.LITERAL:
        return [chr(value)]
    if kind is sre.NOT_LITERAL:
        return ["a" if value != ord("a") else "b"]
    if kind is sre.ANY:
        return ["a"]
    if kind is sre.IN:
        return _of_class(value)
    if kind is sre.BRANCH:
        return [text for branch in value[1] for text in samples(branch, count)[:2]]
    if kind is sre.SUBPATTERN:
        return samples(value[3], count)
    if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT, getattr(sre, "POSSESSIVE_REPEAT", None)):
        least, most, inner = value
        turns = min(max(least, count), most)
        return [text * turns for text in samples(inner, count)[:4]]
    if kind is getattr(sre, "ATOMIC_GROUP", None):
        return samples(value, count)
    return [""]  # positions, and what looks ahead or behind


def alphabet(tree: Any) -> set[str]:
    """Characters that a parsed pattern names, and a few of each of its classes."""
    chars: set[str] = set()
    for kind, value in tree:
        if kind in (sre.IN, sre.LITERAL):
            chars.update(_samples_of(kind, value, 1))
        elif kind is sre.BRANCH:
            chars.update(*map(alphabet, value[1]))
        elif kind is sre.SUBPATTERN:
            chars |= alphabet(value[3])
        elif kind in (sre.MAX_REPEAT, sre.MIN_REPEAT, getattr(sre, "POSSESSIVE_REPEAT", None)):
            chars |= alphabet(value[2])
    return chars


def _of_class(value: Any) -> list[str]:
    inside = _accepts(value)
    candidates = [chr(n) for n in (*b"aZ05 .-_@/:+,=\"'\\()[]{}<>\t\n", 0xE9)]
    fitting = [text for text in candidates if inside(text)]
    first = next((chr(n) for n in range(0x20, 0x3000) if inside(chr(n))), "")
    words = [text for text in fitting if text.isalnum()]
    others = [text for text in fitting if not text.isalnum()]
    return [*words[:2], *others[:1]] or [first]


def _accepts(value: Any) -> Callable[[str], bool]:
    pattern = re.compile("".join(("[", *(_class_source(*part) for part in value), "]")))
    return lambda text: pattern.fullmatch(text) is not None


def _class_source(kind: Any, value: Any) -> str:
    if kind is sre.NEGATE:
        return "^"
    if kind is sre.LITERAL:
        return re.escape(chr(value))
    if kind is sre.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    return {
        sre.CATEGORY_DIGIT: r"\d",
        sre.CATEGORY_NOT_DIGIT: r"\D",
        sre.CATEGORY_SPACE: r"\s",
        sre.CATEGORY_NOT_SPACE: r"\S",
        sre.CATEGORY_WORD: r"\w",
        sre.CATEGORY_NOT_WORD: r"\W",
    }[value]


def hostile(pattern: re.Pattern[Any]) -> list[Callable[[int], str]]:
    """Texts of any length that a pattern may take long for: the beginning of a match over and over, and an odd end."""
    flags = pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    source = pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern
    tree = sre_parse.parse(source, flags & ~re.DEBUG)
    units: dict[str, None] = {}
    for count in (1, 2):
        for sample in samples(tree, count):
            sample = sample[:40]
            for end in range(1, len(sample) + 1):
                units[sample[:end]] = None
                units[sample[end - 1]] = None
            for end in range(len(sample) - 1):
                units[sample[end:]] = None
                units[sample[end : end + 2]] = None
    singles = sorted(alphabet(tree), key=lambda text: (text.isalnum(), text))[:10]
    units.pop("", None)
    units = dict.fromkeys(
        (*filter(None, singles), *(a + b for a in singles for b in singles if a != b and a and b), *units)
    )
    texts = [repeated("", unit, last) for unit in list(units)[:130] for last in ("\x00", "!a")]
    return texts + [repeated(first, unit, "\x00") for first in list(units)[:8] for unit in list(units)[:10]]


def repeated(first: str, unit: str, last: str) -> Callable[[int], str]:
    """Texts that are a unit repeated up to a length, between a beginning and an end."""
    return lambda n: first + (unit * (n // len(unit) + 1))[:n] + last


def run_of(usage: Usage) -> Callable[[Any], object]:
    """All that the project does with a pattern, done to one text."""
    empty: Any = b"" if isinstance(usage.pattern.pattern, bytes) else ""
    runs = [
        partial(usage.pattern.sub, empty) if name == "sub" else getattr(usage.pattern, name)
        for name in usage.methods
    ]
    return lambda text: [run(text) for run in runs]


def seconds(run: Callable[[Any], object], text: Any, tries: int = 1) -> float:
    best = float("inf")
    for _ in range(tries):
        began = time.perf_counter()
        run(text)
        best = min(best, time.perf_counter() - began)
    return best


def is_superlinear(run: Callable[[Any], object], make: Callable[[int], Any]) -> str | None:
    """What n and 2n took, if that is more than linear; None if not, or if even the longest text takes no time."""
    for n in SHORT_LENGTHS:  # what doubles with each character must not be asked for twice as many
        if seconds(run, make(n)) >= MEASURABLE_SECONDS and seconds(run, make(n), 3) >= MEASURABLE_SECONDS:
            return f"{n} characters took more than {MEASURABLE_SECONDS * 1000:.0f} ms"
    n = next((n for n in LENGTHS if seconds(run, make(n)) >= MEASURABLE_SECONDS), 0)
    if not n:
        return None
    for tries in (1, 3, 7):  # whatever else the machine does, the best of several is near the truth
        once, twice = seconds(run, make(n), tries), seconds(run, make(2 * n), tries)
        if twice < MOST_RATIO * once:
            return None
    return f"{n} characters took {once * 1000:.1f} ms, twice as many {twice * 1000:.1f} ms"


def faults(usage: Usage) -> list[str]:
    """The hostile texts for which the pattern takes more than linear time."""
    is_bytes, run = isinstance(usage.pattern.pattern, bytes), run_of(usage)
    for make in hostile(usage.pattern):

        def text_of(n: int, make: Callable[[int], str] = make) -> Any:
            return make(n).encode("utf-8", "replace") if is_bytes else make(n)

        if verdict := is_superlinear(run, text_of):
            return [f"{text_of(60)!r}: {verdict}"]
    return []


PATTERNS = all_patterns()


@pytest.mark.parametrize("usage", PATTERNS, ids=lambda usage: usage.place)
def test_no_pattern_takes_more_than_linear_time(usage: Usage) -> None:
    assert faults(usage) == []


@pytest.mark.parametrize(
    "pattern",
    [r"\S+@\S+", r"(a+)+b", r'"[^"\\]*(?:\\.[^"\\]*)*"', r"<(script|style)\b.*?</\1>", r"\d+,", r"[a-z]+(_[a-z]+)+"],
)  # fmt: skip
def test_a_pattern_that_backtracks_is_caught(pattern: str) -> None:
    assert faults(Usage("a test", re.compile(pattern), EVERYWHERE)) != []


def test_every_floor_has_patterns_that_were_looked_at() -> None:
    floors = {usage.place.partition(".")[0].partition("/")[0] for usage in PATTERNS}
    assert floors == {"receiver", "integrations", "orchestration", "dbt_project"}
