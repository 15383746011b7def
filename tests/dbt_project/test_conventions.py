"""The rules of dbt Labs' `dbt_project_evaluator`, held over the manifest; exceptions are listed with their reasons.

The package itself comes from dbt's hub alone, which no build here depends on. Thresholds and names are its defaults.
https://dbt-labs.github.io/dbt-project-evaluator/latest/rules/
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Warehouse

FANOUT, JOINS, CHAINED_VIEWS = 3, 7, 5
EXCEPTIONS = {
    ("model_fanout", "int_calls_merged"): "the facts of a call; turns, measures and variables are views of them",
    ("model_fanout", "int_calls_interpreted"): "what became of a call: every mart and action reads it",
    ("model_fanout", "int_calls_measured"): "the narrow table that every metric counts",
    ("model_fanout", "int_calls_repeats_marked"): "first-call resolution, judged once for every metric that counts it",
    ("model_fanout", "int_due_actions"): "the ledger: one sync model for each kind of record in another system",
    ("multiple_sources_joined", "stg_recovery__landed_events"): "reads the event log only for calls that a list names",
    ("root_models", "int_days"): "the calendar, which comes from nowhere; the semantic layer counts days by it",
    ("source_fanout", "raw.call_events"): "one event log for all platforms, one staging model for each platform",
    ("source_fanout", "raw.listed_calls"): "one model of what a list promises, one of what came of it",
    ("too_many_joins", "int_events_unioned"): "a union of the platforms, no join",
    ("unused_sources", "raw.rejected_lines"): "no events, so nothing is built of them; a data test reports them",
    ("primary_key", "stg_*__events"): "a view of raw.call_events, whose key is tested there and after the union",
    ("primary_key", "stg_recovery__*"): "calls by event, expected and landed; the mart of them has the key",
    ("primary_key", "int_calls_interpreted"): "a row per row of int_calls_merged, which tests the key",
    ("freshness", "raw.rejected_lines"): "none is the usual case",
    ("freshness", "raw.outbox_actions"): "as old as the newest action; waiting ones are alerted by the outbox itself",
    ("freshness", "raw.listed_calls"): "empty without an API key of a platform",
    ("directories", "stg_*"): "one source table holds all platforms, so a folder stands for a platform",
    ("directories", "raw.*"): "one source for all platforms: it is described beside their folders",
    ("exposures_on_views", "*"): "BI reads the published copy, which holds tables; the outbox reads new rows only",
}  # fmt: skip
PREFIXES = {"staging": ("stg_",), "intermediate": ("int_",), "sync": ("sync_",), "marts": ("",)}
"""Marts have the names that analysts use for the thing, without `fct_` or `dim_`; sync models are pushed elsewhere."""


class Project:
    """The manifest, by what the rules ask of it."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        nodes = {**manifest["nodes"], **manifest["sources"]}
        self.models = {key: node for key, node in nodes.items() if node["resource_type"] == "model"}
        self.sources = {key: node for key, node in nodes.items() if node["resource_type"] == "source"}
        self.tests = [node for node in nodes.values() if node["resource_type"] == "test"]
        self.exposures = list(manifest["exposures"].values())
        self.parents = {
            key: [parent for parent in node["depends_on"]["nodes"] if parent in self.models | self.sources]
            for key, node in self.models.items()
        }
        self.children = defaultdict(list)
        for child, parents in self.parents.items():
            for parent in parents:
                self.children[parent].append(child)

    def name(self, key: str) -> str:
        """A model's name; a source's with its schema."""
        node = self.models.get(key) or self.sources[key]
        return str(node["name"]) if key in self.models else f"{node['source_name']}.{node['name']}"

    def layer(self, key: str) -> str:
        """The folder below models/."""
        return "source" if key in self.sources else str(PurePath(self.models[key]["path"]).parts[0])

    def tested(self, key: str) -> dict[str, set[str]]:
        """The generic tests of each column."""
        tests_by_column = defaultdict(set)
        for test in self.tests:
            if test.get("attached_node") == key and test.get("test_metadata"):
                tests_by_column[test["column_name"] or ""].add(test["test_metadata"]["name"])
        return tests_by_column


Rule = Callable[[Project], Iterator[str]]


def direct_join_to_source(project: Project) -> Iterator[str]:
    for key, parents in project.parents.items():
        if {"source"} < {project.layer(parent) for parent in parents}:
            yield project.name(key)


def marts_or_intermediate_on_source(project: Project) -> Iterator[str]:
    for key, parents in project.parents.items():
        if project.layer(key) != "staging" and any(parent in project.sources for parent in parents):
            yield project.name(key)


def staging_on_models(project: Project) -> Iterator[str]:
    for key, parents in project.parents.items():
        if project.layer(key) == "staging" and any(parent in project.models for parent in parents):
            yield project.name(key)


def intermediate_on_marts(project: Project) -> Iterator[str]:
    for key, parents in project.parents.items():
        if project.layer(key) == "intermediate" and {"marts", "sync"} & set(map(project.layer, parents)):
            yield project.name(key)


def hard_coded_references(project: Project) -> Iterator[str]:
    for node in project.models.values():
        code = re.sub(r"--.*", "", node["raw_code"])
        if re.search(r"(?i)(?<!distinct )\b(from|join)\s+[\"'\[`]?\w+[\"'\]`]?\.\w", code):
            yield node["name"]


def root_models(project: Project) -> Iterator[str]:
    for key, parents in project.parents.items():
        if not parents and not project.models[key]["depends_on"]["nodes"]:
            yield project.name(key)


def model_fanout(project: Project) -> Iterator[str]:
    for key in project.models:
        if sum(not project.children.get(child) for child in project.children.get(key, [])) > FANOUT:
            yield project.name(key)


def source_fanout(project: Project) -> Iterator[str]:
    yield from (project.name(key) for key in project.sources if len(project.children[key]) > 1)


def unused_sources(project: Project) -> Iterator[str]:
    yield from (project.name(key) for key in project.sources if not project.children[key])


def duplicate_sources(project: Project) -> Iterator[str]:
    seen = set()
    for node in project.sources.values():
        if node["relation_name"] in seen:
            yield node["relation_name"]
        seen.add(node["relation_name"])


def multiple_sources_joined(project: Project) -> Iterator[str]:
    for key, parents in project.parents.items():
        if sum(parent in project.sources for parent in parents) > 1:
            yield project.name(key)


def too_many_joins(project: Project) -> Iterator[str]:
    yield from (project.name(key) for key, parents in project.parents.items() if len(parents) >= JOINS)


def rejoining(project: Project) -> Iterator[str]:
    """A parent, and a child that reads it both directly and through a model that nothing else reads."""
    for child, parents in project.parents.items():
        for between in parents:
            if between in project.models and project.children[between] == [child]:
                for parent in set(project.parents[between]) & set(parents):
                    yield f"{project.name(parent)} > {project.name(child)}"


def primary_key(project: Project) -> Iterator[str]:
    for key in project.models:
        if not any({"unique", "not_null"} <= tests for tests in project.tested(key).values()):
            yield project.name(key)


def freshness(project: Project) -> Iterator[str]:
    for key, node in project.sources.items():
        limits = node.get("freshness") or {}
        if not any((limits.get(one) or {}).get("count") for one in ("warn_after", "error_after")):
            yield project.name(key)


def documentation(project: Project) -> Iterator[str]:
    for key, node in {**project.models, **project.sources}.items():
        if not node["description"].strip() or not (key in project.models or node["source_description"]):
            yield project.name(key)


def naming(project: Project) -> Iterator[str]:
    for key in project.models:
        if not project.name(key).startswith(PREFIXES.get(project.layer(key), ("?",))):
            yield project.name(key)


def directories(project: Project) -> Iterator[str]:
    for key, node in project.models.items():
        sources = {
            project.sources[parent]["source_name"]
            for parent in project.parents[key]
            if parent in project.sources
        }
        if sources and not sources <= set(PurePath(node["path"]).parts):
            yield project.name(key)
    for key, node in project.sources.items():
        if node["source_name"] not in PurePath(node["path"]).parts:
            yield project.name(key)


def data_tests_beside_models(project: Project) -> Iterator[str]:
    for test in project.tests:
        model = project.models.get(test.get("attached_node") or "")
        here = PurePath(test["original_file_path"]).parent
        if model and here != PurePath(model["original_file_path"]).parent:
            yield f"{test['name']} in {here}"


def chained_views(project: Project) -> Iterator[str]:
    def views_above(key: str) -> int:
        if key not in project.models or project.models[key]["config"]["materialized"] != "view":
            return 0
        return 1 + max((views_above(parent) for parent in project.parents[key]), default=0)

    yield from (project.name(key) for key in project.models if views_above(key) > CHAINED_VIEWS)


def exposures_on_views(project: Project) -> Iterator[str]:
    for key in _exposed(project):
        if key in project.sources or project.models[key]["config"]["materialized"] in {"view", "ephemeral"}:
            yield project.name(key)


def exposures_on_private_models(project: Project) -> Iterator[str]:
    for key in _exposed(project):
        if key in project.sources or project.models[key]["access"] != "public":
            yield project.name(key)


def public_without_contract(project: Project) -> Iterator[str]:
    for node in project.models.values():
        if node["access"] == "public" and not node["config"]["contract"]["enforced"]:
            yield node["name"]


def public_undocumented(project: Project) -> Iterator[str]:
    for node in project.models.values():
        if node["access"] == "public":
            yield from (
                f"{node['name']}.{name}"
                for name, column in node["columns"].items()
                if not column["description"]
            )


def _exposed(project: Project) -> list[str]:
    exposed = {key for exposure in project.exposures for key in exposure["depends_on"]["nodes"]}
    return sorted(exposed & (project.models.keys() | project.sources.keys()))


RULES: list[Rule] = [
    direct_join_to_source, marts_or_intermediate_on_source, staging_on_models, intermediate_on_marts,
    hard_coded_references, root_models, model_fanout, source_fanout, unused_sources, duplicate_sources,
    multiple_sources_joined, too_many_joins, rejoining, primary_key, freshness, documentation, naming, directories,
    data_tests_beside_models, chained_views, exposures_on_views, exposures_on_private_models, public_without_contract,
    public_undocumented,
]  # fmt: skip


@pytest.fixture(scope="module")
def project(awkward: "Warehouse") -> Project:
    return Project(json.loads((awkward.target / "manifest.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.__name__))
def test_the_rule_holds_but_for_what_has_a_reason(rule: Rule, project: Project) -> None:
    allowed = [pattern for name, pattern in EXCEPTIONS if name == rule.__name__]
    subjects = list(rule(project))
    broken = [subject for subject in subjects if not any(fnmatchcase(subject, one) for one in allowed)]
    assert broken == []
    idle = [one for one in allowed if not any(fnmatchcase(subject, one) for subject in subjects)]
    assert idle == [], "an exception that nothing needs any more"
