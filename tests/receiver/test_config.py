from pathlib import Path

import pytest
from pydantic import ValidationError

from receiver.config import Home, ReceiverSettings
from receiver.networks import is_loopback


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("AFTERCALL_HOME", "AFTERCALL_RECEIVER_BIND"):
        monkeypatch.delenv(name, raising=False)


def test_home_is_absolute_by_default_and_when_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Home().home == tmp_path / ".aftercall"
    monkeypatch.setenv("AFTERCALL_HOME", "state")
    assert Home().landing == tmp_path / "state" / "landing"


def test_secrets_rotate_and_never_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(
        "AFTERCALL_SECRET_GENERIC=whsec_fromfile\nAFTERCALL_SECRET_ATOMS=filesecret\n"
    )
    monkeypatch.setenv("AFTERCALL_SECRET_ATOMS", "newsecret, oldsecret,")
    settings = ReceiverSettings()
    assert settings.secrets_for("atoms") == ("newsecret", "oldsecret")
    assert settings.secrets_for("generic") == ("whsec_fromfile",)
    assert settings.secrets_for("other") == ()
    assert "oldsecret" not in repr(settings)
    assert "oldsecret" not in settings.model_dump_json()


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("10.0.0.1", False), ("example.com", False)],
)  # fmt: skip
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("bind", ["8080", ":8080", "localhost", "localhost:port", "localhost:70000"])
def test_bind_must_be_host_and_port(bind: str) -> None:
    with pytest.raises(ValidationError, match="not host:port"):
        ReceiverSettings(receiver_bind=bind)


def test_bind_in_brackets() -> None:
    settings = ReceiverSettings(receiver_bind="[::1]:8080")
    assert (settings.host, settings.port, settings.is_loopback) == ("::1", 8080, True)


def test_a_worker_that_would_live_less_than_a_minute_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least a minute"):
        ReceiverSettings(receiver_worker_hours=0.001)
    assert ReceiverSettings(receiver_worker_hours=0.017).receiver_worker_hours == 0.017
