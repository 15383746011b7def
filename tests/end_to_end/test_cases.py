"""Deliveries that went wrong in public bug reports, carried through one receiver and one pass.

The repository has copies with ids, numbers and words of its own. The cases in `../shared/cases` join them where they
are at hand.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import ROOT, Installation, free_port

OWN, SHARED = Path(__file__).with_name("cases"), ROOT.parent / "shared" / "cases"
FOLDERS = [OWN, *(path.parent for path in sorted(SHARED.glob("*/input.ndjson")))]


def deliveries() -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Source, body and headers of each delivery, in order."""
    for folder in FOLDERS:
        for line in (folder / "input.ndjson").read_text(encoding="utf-8").splitlines():
            delivery = json.loads(line)
            text = delivery["text"] if "text" in delivery else json.dumps(delivery["body"])
            headers = {"Content-Type": "application/json", **delivery.get("headers", {})}
            yield delivery["source"], text.encode(), headers


def checks() -> Iterator[Any]:
    """A question and its answer, named by case and by what it holds."""
    for folder in FOLDERS:
        expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
        for check in expected if folder == OWN else expected["checks"]:
            case = f"own-{check['case']}" if folder == OWN else folder.name
            yield pytest.param(check, id=f"{case}: {check['what']}")


@pytest.fixture(scope="module")
def carried_through(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that took all cases in one pass."""
    installation = Installation(tmp_path_factory.mktemp("cases") / "home", free_port()).built()
    with installation.receiver():
        for source, body, headers in deliveries():
            url = f"{installation.url}/webhooks/{source}"
            answer = requests.post(url, data=body, headers=headers, timeout=20)
            assert answer.status_code == 200, (source, body[:200], answer.text)
    installation.aftercall("run")
    yield installation
    shutil.rmtree(installation.home, ignore_errors=True)


@pytest.mark.parametrize("check", checks())
def test_every_check_of_every_case(carried_through: Installation, check: dict[str, Any]) -> None:
    ask = {
        None: carried_through.mart,
        "outbox": carried_through.outbox,
        "warehouse": carried_through.warehouse,
    }[check.get("in")]
    assert [list(row) for row in ask(check["sql"])] == check["want"]
