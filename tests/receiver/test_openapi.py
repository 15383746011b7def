"""The OpenAPI document: valid, complete, and of one mind with docs/receiver.md."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from receiver.openapi import ANSWERS, openapi
from receiver.signatures import BadSignature
from receiver.sources import SOURCES

DOCUMENTATION = (Path(__file__).parents[2] / "docs" / "receiver.md").read_text(encoding="utf-8")


def test_every_source_is_described_and_nothing_else() -> None:
    paths = openapi()["paths"]
    operations = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    assert operations == {f"POST /webhooks/{name}" for name in SOURCES} | {
        "GET /healthz", "GET /readyz", "GET /metrics"
    }  # fmt: skip


def test_it_is_valid_openapi() -> None:
    import schemathesis  # here, because it takes seconds, in every worker of a test run

    schemathesis.openapi.from_dict(openapi()).validate()
    broken = openapi() | {"paths": {"/x": {"post": {"responses": 7}}}}
    with pytest.raises(Exception, match="7 is not of type"):
        schemathesis.openapi.from_dict(broken).validate()


@pytest.mark.parametrize("name", SOURCES)
def test_the_headers_of_a_source_are_those_it_reads(name: str) -> None:
    described = {
        parameter["name"] for parameter in openapi()["paths"][f"/webhooks/{name}"]["post"]["parameters"]
    }

    class Headers(dict[str, str]):
        def get(self, key: str, default: object = None) -> str:
            read.add(key)
            return "1"

    read: set[str] = set()
    with pytest.raises(BadSignature):
        SOURCES[name].verify(Headers(), b"", ["secret"], 0)
    assert read == {header.lower() for header in described}


def test_the_documentation_has_every_answer() -> None:
    table = DOCUMENTATION[DOCUMENTATION.index("## Answers") : DOCUMENTATION.index("## Signatures")]
    documented = {int(status) for status in re.findall(r"^\|[^|]*\| (\d{3})\b", table, re.MULTILINE)}
    # 404 and 405 are of addresses that the document does not have, 431 is the server's own
    assert documented - {200, 404, 405, 431} == set(ANSWERS)


def test_it_is_printed_and_not_served(start_receiver: object) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "receiver.openapi"],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert json.loads(printed.stdout) == openapi()
    url, _, _ = start_receiver()  # type: ignore[operator]
    for path in ("/openapi.json", "/openapi", "/docs", "/swagger.json"):
        assert requests.get(f"{url}{path}", timeout=20).status_code == 404
