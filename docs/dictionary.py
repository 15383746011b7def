"""`make dictionary`: writes docs/data-dictionary.md from dbt's manifest. Descriptions belong to the dbt project.

With `--check` it fails if the page is stale; a test runs that.
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from orchestration.config import DBT_PROJECT, OrchestrationSettings
from orchestration.warehouse import dbt

PAGE = Path(__file__).with_name("data-dictionary.md")
STALE = "docs/data-dictionary.md is older than the dbt project: run `make dictionary` and commit the page"
_HEAD = """\
# Data dictionary

`make dictionary` writes this page from the descriptions, contracts and tests of `dbt_project/`; change them there. The
marts are the tables of `published/marts.duckdb` ([docs/bi.md](bi.md)), the sync tables are what goes to other systems
([docs/actions.md](actions.md)). Times are UTC. 🔒 marks personal data.
"""
_VAR = re.compile(r"((?: {2}# .*\n)+)((?: {2}\w+: .*\n)+)")
_RELATED = re.compile(r"ref\('(\w+)'\)")
Manifest = dict[str, Any]


def page(manifest: Manifest, project: str) -> str:
    """The page for a manifest and the text of `dbt_project.yml`."""
    tests = _tests(manifest)
    marts, syncs = _models(manifest, "marts"), _models(manifest, "sync")
    metrics = sorted(manifest["metrics"].values(), key=lambda metric: str(metric["name"]))
    parts = [
        _HEAD,
        _contents(marts, bool(metrics)),
        "## How the marts relate\n\n" + _picture(marts, tests),
        "## Marts\n\n" + "\n\n".join(_mart(mart, tests) for mart in marts),
        *(
            [
                "## Metrics\n\n"
                + _table(
                    ("metric", "formula", "description"),
                    (_metric(metric, _measures(manifest)) for metric in metrics),
                )
            ]
            if metrics
            else []
        ),
        "## Settings of the project\n\n`vars` of `dbt_project.yml`.\n\n"
        + _table(("var", "default", "effect"), _variables(project)),
        "## Sync tables\n\n" + _table(("table", "rows", "columns"), map(_sync, syncs)),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _models(manifest: Manifest, schema: str) -> list[dict[str, Any]]:
    nodes = manifest["nodes"].values()
    models = [node for node in nodes if node["resource_type"] == "model" and node["schema"] == schema]
    return sorted(models, key=lambda node: str(node["name"]))


def _tests(manifest: Manifest) -> dict[tuple[str, str], list[tuple[str, dict[str, Any]]]]:
    """Generic tests by model and column: the name of each, and its arguments."""
    tests = defaultdict(list)
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test" and node.get("test_metadata") and node.get("attached_node"):
            model = manifest["nodes"].get(node["attached_node"])
            if model:
                test = node["test_metadata"]
                tests[model["name"], node["column_name"] or ""].append((test["name"], test["kwargs"]))
    return tests


def _contents(marts: list[dict[str, Any]], has_metrics: bool) -> str:
    rows = ((f"[{mart['name']}](#{mart['name']})", _sentence(mart["description"])) for mart in marts)
    more = ["[Metrics](#metrics)"] if has_metrics else []
    more += ["[Settings](#settings-of-the-project)", "[Sync tables](#sync-tables)"]
    return _table(("mart", "a row"), rows) + f"\n\nBelow: {', '.join(more)}."


def _picture(
    marts: list[dict[str, Any]], tests: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]]
) -> str:
    """The marts that a relationship test connects, by their keys."""
    names = {mart["name"] for mart in marts}
    ties, tied = [], set()
    for (model, column), column_tests in sorted(tests.items()):
        for name, arguments in column_tests:
            other = _RELATED.search(str(arguments.get("to", "")))
            if name == "relationships" and other and model in names and other.group(1) in names:
                ones = "o|" if _is_key(tests, model, column) else "o{"
                ties.append(f"    {other.group(1)} ||--{ones} {model} : {column}")
                tied |= {model, other.group(1)}
    boxes = []
    for mart in marts:
        keys = [name for name in mart["columns"] if _is_key(tests, mart["name"], name)]
        if mart["name"] in tied and keys:
            typed = "\n".join(f"        {mart['columns'][key]['data_type']} {key} PK" for key in keys)
            boxes.append(f"    {mart['name']} {{\n{typed}\n    }}")
    alone = sorted(names - tied)
    stands = (
        f"\n\nCounted from the same calls, with keys of their own: {', '.join(map(_code, alone))}."
        if alone
        else ""
    )
    return "```mermaid\nerDiagram\n" + "\n".join([*ties, *boxes]) + "\n```" + stands


def _is_key(tests: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]], model: str, column: str) -> bool:
    return {"unique", "not_null"} <= {name for name, _ in tests.get((model, column), [])}


def _mart(mart: dict[str, Any], tests: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]]) -> str:
    rows = []
    for name, column in mart["columns"].items():
        held = [_held(test, arguments) for test, arguments in tests.get((mart["name"], name), [])]
        lock = " 🔒" if column["meta"].get("pii") else ""
        rows.append(
            (f"`{name}`{lock}", column["data_type"] or "", _line(column["description"]), "; ".join(held))
        )
    return f"### {mart['name']}\n\n{_line(mart['description'])}\n\n" + _table(
        ("column", "type", "description", "tested"), rows
    )


def _held(name: str, arguments: dict[str, Any]) -> str:
    """A test as a claim."""
    if name == "accepted_values":
        return "one of " + ", ".join(_code(str(value)) for value in arguments["values"])
    if name == "relationships":
        other = _RELATED.search(str(arguments["to"]))
        return f"in `{other.group(1) if other else arguments['to']}.{arguments['field']}`"
    return {"not_null": "known", "unique": "unique"}.get(name, name.replace("_", " "))


def _measures(manifest: Manifest) -> dict[str, str]:
    """What each measure of the semantic layer adds up, as SQL."""
    measures = [measure for model in manifest["semantic_models"].values() for measure in model["measures"]]
    return {measure["name"]: _aggregate(measure) for measure in measures}


def _aggregate(measure: dict[str, Any]) -> str:
    part = (measure.get("agg_params") or {}).get("percentile")
    return f"{measure['agg']}({f'{part}, ' if part else ''}{measure['expr']})"


def _metric(metric: dict[str, Any], measures: dict[str, str]) -> tuple[str, str, str]:
    params = metric["type_params"]
    parts = [params.get("numerator"), params.get("denominator")]
    formula = params.get("expr") or " / ".join(part["name"] for part in parts if part)
    formula = formula or measures.get((params.get("measure") or {}).get("name") or "", "")
    return _code(metric["name"]), _code(formula) if formula else "", _line(metric["description"] or "")


def _sync(model: dict[str, Any]) -> tuple[str, str, str]:
    columns = (
        f"`{name}`{' 🔒' if column['meta'].get('pii') else ''}" for name, column in model["columns"].items()
    )
    return _code(model["name"]), _line(model["description"]), ", ".join(columns)


def _variables(project: str) -> Iterator[tuple[str, str, str]]:
    """A comment belongs to every var that follows it until the next comment."""
    for comment, lines in _VAR.findall(project.partition("\nvars:\n")[2].partition("\nmodels:\n")[0] + "\n"):
        description = _line(re.sub(r"^ {2}# ", "", comment, flags=re.MULTILINE))
        for name, default in re.findall(r" {2}(\w+): (.*)\n", lines):
            yield _code(name), _code(default), description


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _sentence(text: str) -> str:
    return re.split(r"(?<=\.) ", _line(text), maxsplit=1)[0]


def _line(text: str) -> str:
    return " ".join(text.split())


def _code(text: str) -> str:
    return f"`{text}`"


def main() -> int:
    """Write the page, or say that it is stale."""
    manifest = json.loads(dbt.ensure_manifest(OrchestrationSettings()).read_text(encoding="utf-8"))
    fresh = page(manifest, (DBT_PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    if "--check" not in sys.argv:
        PAGE.write_text(fresh, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != fresh:
        sys.stderr.write(STALE + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
