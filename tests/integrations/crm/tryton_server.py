"""Tryton itself, in a process of its own on a free port, with a database that is prepared once a version.

Run as a program it prepares a database: modules, a company, and a user application whose key it prints.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import orjson
import requests

PASSWORD = "test-only"
BIN = Path(sys.executable).parent
CONFIG = """
[database]
uri = sqlite://
path = {folder}
[web]
listen = 127.0.0.1:{port}
[session]
authentications = password
"""


@dataclass(frozen=True)
class Office:
    """A running Tryton, and what a test asks of it without aftercall."""

    port: int
    key: str

    def ask(self, method: str, path: str, json: Any = None, **params: Any) -> Any:
        answer = requests.request(
            method, f"http://127.0.0.1:{self.port}/crm/rest/model/{path}", json=json, params=params, timeout=30,
            headers={"Authorization": f"bearer {self.key}"},
        )  # fmt: skip
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def search(self, model: str, domain: Any, *fields: str) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = self.ask(
            "GET", model, d=urlsafe_b64encode(orjson.dumps(domain)).decode(), f=list(fields)
        )
        return answers

    def party(self, name: str, *mechanisms: tuple[str, str], **more: Any) -> str:
        added = [{"type": kind, "value": value} for kind, value in mechanisms]
        new_party = self.ask(
            "POST", "party.party", {"name": name, "contact_mechanisms": [["create", added]], **more}, f="id"
        )
        return str(new_party["id"])

    def clerk(self) -> str:
        """The key of a user who is in no group."""
        from proteus import Model  # type: ignore[import-untyped]
        from proteus import config as proteus

        proteus.set_xmlrpc(f"http://admin:{PASSWORD}@127.0.0.1:{self.port}/crm/rpc/")
        user = Model.get("res.user")(name="Clerk", login="clerk")
        user.companies.extend(Model.get("company.company").find([]))
        user.company = user.companies[0]
        user.save()
        application = Model.get("res.user.application")(user=user, application="rest")
        application.save()
        return str(application.key)

    def replace(self, old: str, new: str) -> None:
        """As a person does it who found out that two are one."""
        from proteus import Model, Wizard
        from proteus import config as proteus

        proteus.set_xmlrpc(f"http://admin:{PASSWORD}@127.0.0.1:{self.port}/crm/rpc/")
        party = Model.get("party.party")
        wizard = Wizard("party.replace", models=[party(int(old))])
        wizard.form.destination = party(int(new))
        wizard.execute("replace")

    def parties(self, phone: str) -> list[dict[str, Any]]:
        domain = [["contact_mechanisms.value_compact", "=", phone]]
        return self.search(
            "party.party", domain, "name", "contact_mechanisms.value", "contact_mechanisms.type"
        )

    def marked(self, model: str, field: str, key: str) -> list[dict[str, Any]]:
        return [
            one for one in self.search(model, [], field, "resource" if model == "ir.note" else "party")
            if str(one[field]).endswith(f"Reference: {key}")
        ]  # fmt: skip


@contextmanager
def running(cache: Path) -> Iterator[Office]:
    """Tryton with a copy of the prepared database; `cache` keeps that between sessions."""
    prepared = _prepared(cache)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="aftercall-tryton-") as name:
        folder = Path(name)
        (folder / "crm.sqlite").write_bytes((prepared / "crm.sqlite").read_bytes())
        config = _configured(folder, port)
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [BIN / "trytond", "-c", config, "-d", "crm"], stdout=log, stderr=subprocess.STDOUT, cwd=folder
            )
            try:
                _wait(server, port, folder / "log")
                yield Office(port, (prepared / "key").read_text())
            finally:
                server.terminate()
                server.wait(20)


def _prepared(cache: Path) -> Path:
    parts = [
        f"{one.name} {one.version}"
        for one in distributions()
        if one.name.lower().startswith(("tryton", "proteus"))
    ]
    cached = cache / sha256("\n".join([*sorted(parts), Path(__file__).read_text()]).encode()).hexdigest()[:16]
    if cached.is_dir():
        return cached
    with tempfile.TemporaryDirectory(prefix="prepare-", dir=cache) as name:
        folder = Path(name)
        (folder / "crm.sqlite").touch()
        config = _configured(folder, 0)
        (folder / "password").write_text(PASSWORD)
        environment = {**os.environ, "TRYTONPASSFILE": str(folder / "password")}
        admin = [str(BIN / "trytond-admin"), "-c", str(config), "-d", "crm"]
        modules = ["-u", "party", "project", "--activate-dependencies", "--email", "admin@example.com"]
        subprocess.run([*admin, "--all", *modules], check=True, env=environment, capture_output=True)
        key = subprocess.run(
            [sys.executable, __file__, config], check=True, stdout=subprocess.PIPE, cwd=folder
        ).stdout
        (folder / "key").write_bytes(key.split()[-1])
        try:
            # Whole or not at all, also when several sessions prepare it.
            folder.rename(cached)
            folder.mkdir()
        except OSError:
            assert cached.is_dir()
    return cached


def _configured(folder: Path, port: int) -> Path:
    config = folder / "trytond.conf"
    config.write_text(CONFIG.format(folder=folder, port=port))
    return config


def _wait(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


def _prepare(config: str) -> None:
    from proteus import Model
    from proteus import config as proteus

    proteus.set_trytond(database="sqlite:///crm", user="admin", config_file=config)
    euro = Model.get("currency.currency")(name="Euro", code="EUR", symbol="€")
    euro.save()
    shop = Model.get("party.party")(name="The shop")
    shop.save()
    company = Model.get("company.company")(party=shop, currency=euro)
    company.save()
    user = Model.get("res.user").find([("login", "=", "admin")])[0]
    user.companies.append(company)
    user.company = company
    user.save()
    application = Model.get("res.user.application")(user=user, application="rest")
    application.save()
    print(application.key)


if __name__ == "__main__":
    _prepare(sys.argv[1])
