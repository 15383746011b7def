"""`aftercall doctor`: every setting with its value (secrets masked), and whether each part can work."""

import shutil
from collections.abc import Iterator

import click
from pydantic_settings import BaseSettings
from rich.console import Console
from rich.table import Table

from integrations import phones
from integrations.board.config import BoardSettings
from integrations.config import IntegrationSettings
from integrations.destinations import CHANNELS, UnknownDestination
from integrations.errors import redact
from integrations.outbox import BadAlerts, open_outbox
from integrations.outbox.alerts import ways_of
from integrations.routes import BadRoutes, configured, routes
from orchestration.cli.processes import addresses, answers
from orchestration.config import OrchestrationSettings
from orchestration.recovery.config import RecoverySettings
from receiver.config import ReceiverSettings
from receiver.landing import LandingUnavailable, open_landing

_BY_SOURCE = {
    "secrets": "AFTERCALL_SECRET_<SOURCE>",
    "allow_from": "AFTERCALL_ALLOW_FROM_<SOURCE>",
    "api_keys": "AFTERCALL_API_KEY_<SOURCE>",
    "api_urls": "AFTERCALL_API_URL_<SOURCE>",
}
"""Settings that a source has for itself, and how they are written."""


@click.command("doctor")
def doctor_command() -> None:
    """Print every setting (secrets masked) and check every part; exit code 1 if one cannot work."""
    console = Console()
    seen: set[str] = set()
    table = Table("setting", "value", "meaning", title="Settings")
    for settings in (
        ReceiverSettings(),
        IntegrationSettings(),
        BoardSettings(),
        OrchestrationSettings(),
        RecoverySettings(),
    ):
        for name, value, meaning in _rows(settings):
            if name not in seen:
                seen.add(name)
                table.add_row(name, value, meaning)
    console.print(table)
    problems = 0
    for what, problem in _checks():
        problems += problem is not None
        console.print(f"[green]ok[/]   {what}" if problem is None else f"[red]bad[/]  {what}: {problem}")
    if problems:
        raise SystemExit(1)


def _rows(settings: BaseSettings) -> Iterator[tuple[str, str, str]]:
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        shown = str(value)
        if name in _BY_SOURCE:
            hidden = name in {"secrets", "api_keys"}
            shown = ", ".join(f"{key}: {'**********' if hidden else value[key]}" for key in value)
        shown = redact(shown, IntegrationSettings())
        label = _BY_SOURCE.get(name, f"AFTERCALL_{name.upper()}")
        yield label, shown or "-", field.description or ""


def _checks() -> Iterator[tuple[str, str | None]]:
    settings = OrchestrationSettings()
    settings.home.mkdir(parents=True, exist_ok=True)
    try:
        open_landing(settings.home).check()
        yield "landing store can be written", None
    except LandingUnavailable as error:
        yield "landing store can be written", str(error)
    free = shutil.disk_usage(settings.home).free
    yield f"{free >> 30} GiB free", None if free > 1 << 30 else "less than 1 GiB is left"
    try:
        with open_outbox(IntegrationSettings().outbox_url):
            yield "outbox opens", None
    except Exception as error:  # any driver's own exception is the answer here
        yield "outbox opens", str(error)
    region = IntegrationSettings().phone_region.strip()
    unknown = (
        None if not region or phones.is_region(region) else "set AFTERCALL_PHONE_REGION to one like US or DE"
    )
    yield f"phone numbers that name no country are {region or 'nobody'}'s", unknown
    yield from _destinations(IntegrationSettings())
    unsigned = not ReceiverSettings().is_loopback and not ReceiverSettings().secrets
    hint = "set AFTERCALL_SECRET_<SOURCE>: every delivery would be refused"
    yield "senders can be verified, or are on this machine", hint if unsigned else None
    for name, url in addresses().items():
        up = answers(f"{url}/server_info" if name == "dagster" else f"{url}/healthz")
        yield f"{name} {'answers at' if up else 'is not running at'} {url}", None


def _destinations(settings: IntegrationSettings) -> Iterator[tuple[str, str | None]]:
    """Where actions go, route by route; `aftercall check` asks the systems themselves."""
    try:
        known = routes(settings)
    except BadRoutes as error:
        yield "routes can be followed", str(error)
        return
    for route in known.route:
        when = ", ".join(f"{name} is {wanted}" for name, wanted in route.when.items())
        yield f"{route.channel} goes to {', '.join(route.to)}{' when ' if when else ''}{when}", None
    for channel in CHANNELS:
        what = f"{channel} goes to {', '.join(settings.destinations_of(channel))}"
        try:
            configured(channel, settings)
            yield what, None
        except UnknownDestination as error:
            yield what, str(error)
    try:
        ways = ", ".join(sorted(ways_of(settings)))
        yield f"problems are told by {ways or 'nobody'}", None
    except BadAlerts as error:
        yield "problems are told", str(error)
