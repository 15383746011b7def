"""`aftercall board --address` prints what a person opens."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestration.cli import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AFTERCALL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def printed(**settings: str) -> dict[str, str]:
    said = CliRunner().invoke(main, ["board", "--address"], env=settings)
    assert said.exit_code == 0, said.output
    return dict(line.split() for line in said.output.splitlines())


def test_the_addresses_carry_the_token_where_there_is_no_password(home: Path) -> None:
    token = f"/?token={printed()['board'].partition('=')[2]}"
    assert printed() == {"board": f"http://127.0.0.1:8081{token}", "dagster": f"http://127.0.0.1:3000{token}"}
    assert token.endswith((home / "access-token").read_text().strip())
    assert printed(AFTERCALL_BOARD_PASSWORD="x") == {
        "board": "http://127.0.0.1:8081",
        "dagster": "http://127.0.0.1:3000",
    }


def test_dagster_can_have_a_password_of_its_own() -> None:
    addresses = printed(AFTERCALL_DAGSTER_PASSWORD="x")
    assert addresses["dagster"] == "http://127.0.0.1:3000"
    assert "?token=" in addresses["board"]
