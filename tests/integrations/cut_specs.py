"""The parts of vendors' OpenAPI files that the fakes are judged by, cut out of the vendors' whole files.

`python -m tests.integrations.cut_specs FOLDER` writes them anew from a folder with the whole files, one folder per
vendor. Kept are the paths that a fake answers, without prose and examples, and the schemas that these refer to.
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.integrations.crm.hubspot_fake import FakeHubSpot as HubSpotCrm
from tests.integrations.email.sendgrid_fake import Account
from tests.integrations.ticket.fakes.hubspot import FakeHubSpot
from tests.integrations.ticket.fakes.jira import FakeJira
from tests.integrations.ticket.fakes.judge import SPECS, Fake
from tests.integrations.ticket.fakes.zendesk import FakeZendesk

FAKES: Sequence[type[Fake]] = (Account, FakeHubSpot, FakeJira, FakeZendesk, HubSpotCrm)
_PROSE = {
    "description",
    "example",
    "examples",
    "externalDocs",
    "operationId",
    "security",
    "summary",
    "tags",
    "title",
}
# what stands here are names and values that the vendor chose, and no words of OpenAPI
_NAMES = {"properties", "patternProperties", "schemas", "mapping"}
_VALUES = {"const", "default", "enum", "required"}


def paths_by_spec() -> Mapping[str, Sequence[str]]:
    """The patterns of the paths that fakes answer, by the file that describes them."""
    patterns: dict[str, list[str]] = defaultdict(list)
    for fake in FAKES:
        vendor = fake()
        for spec in vendor.specs:
            patterns[spec].append(vendor.paths)
    return patterns


def cut(whole: Mapping[str, Any], patterns: Sequence[str]) -> dict[str, Any]:
    """The paths of a description that match one of the patterns, and what they refer to."""
    paths = {
        path: _without_prose(item)
        for path, item in whole["paths"].items()
        if any(re.fullmatch(pattern, path) for pattern in patterns)
    }
    components: dict[str, dict[str, Any]] = {}
    waiting = _references(paths)
    while waiting:
        kind, name = waiting.pop()
        if name not in components.setdefault(kind, {}):
            components[kind][name] = _without_prose(whole["components"][kind][name])
            waiting |= _references(components[kind][name])
    info = {name: whole["info"][name] for name in ("title", "version")}
    return {"openapi": whole["openapi"], "info": info, "paths": paths, "components": components}


def _without_prose(node: Any, are_names: bool = False) -> Any:
    if isinstance(node, list):
        return [_without_prose(one) for one in node]
    if not isinstance(node, dict):
        return node
    if are_names:
        return {name: _without_prose(one) for name, one in node.items()}
    return {
        word: one if word in _VALUES else _without_prose(one, word in _NAMES)
        for word, one in node.items()
        if word not in _PROSE and not word.startswith("x-")
    }


def _references(node: Any) -> set[tuple[str, str]]:
    return {(kind, name) for kind, name in re.findall(r'"#/components/(\w+)/([^"/]+)"', json.dumps(node))}


def main(folder: Path) -> None:
    """Write every cut anew."""
    for spec, patterns in paths_by_spec().items():
        whole = json.loads((folder / spec).read_text(encoding="utf-8"))
        target = SPECS / spec
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(cut(whole, patterns), indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
