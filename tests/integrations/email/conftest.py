"""Settings that lead to a mail server of ours, and the authority behind its certificate."""

from pathlib import Path
from typing import Any

import pytest
import trustme

from integrations.config import IntegrationSettings
from tests.integrations.email.mail_server import Settings

ALLOWED = {"email_allow_example_domains": True}


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def make(tmp_path: Path, authority: trustme.CA) -> Settings:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def settings(port: int, **changes: Any) -> IntegrationSettings:
        ours: dict[str, Any] = {
            "emails": "smtp", "smtp_host": "127.0.0.1", "smtp_port": port, "smtp_ca_file": tmp_path / "ca.pem",
            "email_from_address": "help@shop.example.com", "smtp_seconds": 10,
        }  # fmt: skip
        return IntegrationSettings(home=tmp_path, **(ours | ALLOWED | changes))

    return settings
