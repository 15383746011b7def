"""The dbt project's macros for sqlfluff, which reads models without dbt (`.sqlfluff`, `library_path`).

A macro that stands for an expression is read as a call of a function of its name: what is linted is what the model
says, not the hundreds of lines that one line becomes. A macro that gives a query, columns or a value of Jinja's is
carried out.
Not dbt's templater: it wants a warehouse, an older sqlfluff, and an older click than the rest of the environment.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jinja2 import Environment

_MACROS = Path(__file__).resolve().parents[3] / "dbt_project" / "macros"
_MACRO = re.compile(r"\{%-? *macro (\w+)\(.*?\{%-? *endmacro *-?%\}", re.DOTALL)
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_NAME_A_TABLE = {"canonical_measure", "queue_of"}
"""Expressions with a table in them that would seem to be joined for nothing."""
_HEAD = re.compile(r"\{%-? *macro .*?%\}", re.DOTALL)


class _Return(Exception):
    """dbt's `return`."""


class _Call:
    """Any attribute as a function of that name; what `dbt.date_trunc` and `dbt_utils.pivot` are to a linter."""

    def __getattr__(self, name: str) -> Callable[..., str]:
        if name.startswith("_"):
            raise AttributeError(name)
        return _called(name)


def _called(name: str) -> Callable[..., str]:
    def call(*values: Any, **named: Any) -> str:
        return f"{name}({', '.join(_argument(value) for value in (*values, *named.values()))})"

    return call


def _argument(value: Any) -> str:
    """SQL as it is; what only a macro understands as a text, and a word alone: it may be no column."""
    if not isinstance(value, str) or not value.strip():
        return f"'{type(value).__name__}'"
    return f"'{value}'" if value.isidentifier() else value


def _at_depth_0(text: str) -> Iterator[str]:
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            yield character


def _is_expression(macro: str) -> bool:
    body = _HEAD.sub("", macro)
    outer = "".join(_at_depth_0(re.sub(r"\{%.*?%\}", " ", body, flags=re.DOTALL)))
    return "return(" not in body and re.search(r"\b(select|as)\b", outer) is None


def _carried_out(environment: Environment, macro: str, name: str) -> Callable[..., Any]:
    template = environment.from_string(macro)

    def call(*values: Any, **named: Any) -> Any:
        try:
            return getattr(template.make_module(), name)(*values, **named)
        except _Return as returned:
            return returned.args[0]

    return call


def _return(value: Any) -> None:
    raise _Return(value)


def _macros() -> dict[str, Callable[..., Any]]:
    environment = Environment(autoescape=False, extensions=["jinja2.ext.do"])
    environment.globals |= {
        "return": _return,
        "ref": lambda *names: names[-1],
        "source": lambda schema, name: f"{schema}.{name}",
        "var": var,
        "is_incremental": is_incremental,
        "dbt": dbt,
        "flags": flags,
        "execute": False,
        "this": "this_model",
    }
    functions: dict[str, Callable[..., Any]] = {}
    for path in sorted(_MACROS.glob("*.sql")):
        text = _COMMENT.sub("", path.read_text(encoding="utf-8"))
        for match in _MACRO.finditer(text):
            macro, name = match.group(0), match.group(1)
            is_called = _is_expression(macro) and name not in _NAME_A_TABLE
            functions[name] = _called(name) if is_called else _carried_out(environment, macro, name)
    environment.globals |= functions
    return functions


def var(name: str, default: str = "1") -> str:
    """A value that any query can hold."""
    return default


def is_incremental() -> bool:
    """Linted as in a full refresh."""
    return False


dbt = _Call()
flags = SimpleNamespace(FULL_REFRESH=True)
execute = False
run_started_at = datetime(2026, 1, 1, tzinfo=UTC)
globals().update(_macros())
