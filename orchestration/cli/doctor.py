"""`aftercall doctor`: whether each part can work, how many doors are open, and the settings (secrets masked)."""

import shutil
from collections.abc import Iterable, Iterator

import click
from pydantic_settings import BaseSettings

from integrations import former_names, phones
from integrations.board.config import BoardSettings
from integrations.config import IntegrationSettings
from integrations.destinations import CHANNELS, UnknownDestination
from integrations.errors import redact
from integrations.outbox import BadAlerts, alert_channels, open_outbox
from integrations.routes import BadRoutes, configured, routes
from orchestration.cli.output import Listing, is_terminal, say
from orchestration.config import DagsterSettings, OrchestrationSettings
from orchestration.recovery.config import RecoverySettings
from orchestration.tools.open_doors import Door, SourceDoor, open_doors
from orchestration.tools.processes import addresses, answers
from receiver.config import ENV_FILE, ReceiverSettings
from receiver.landing import LandingUnavailable, UnknownLanding, open_landing

_BY_SOURCE = {
    "secrets": "AFTERCALL_SECRET_<SOURCE>",
    "allow_from": "AFTERCALL_ALLOW_FROM_<SOURCE>",
    "api_keys": "AFTERCALL_API_KEY_<SOURCE>",
    "api_urls": "AFTERCALL_API_URL_<SOURCE>",
}
"""Settings that a source has for itself, and how they are written."""


@click.command("doctor")
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Also list settings that have their default.",
    show_default="without a terminal",
)
def doctor_command(every: bool) -> None:
    """Check every part, count the open doors, and print the settings (secrets masked).

    Exit code 1 if a part cannot work. An open door is no error: the operator may want it.
    """
    checks, doors = list(_checks()), open_doors()
    problems = [(what, problem) for what, problem in checks if problem is not None]
    say(_verdict(len(problems), len(doors)), "bold red" if problems else "bold")
    for what, problem in problems:
        say(f"bad  {what}: {problem}", "red")
    for what, close in _together(doors):
        say(f"open {what}: {close}", "yellow")
    for what in (what for what, problem in checks if problem is None):
        say(f"ok   {what}")
    for former, present in former_names.in_use(ENV_FILE).items():
        say(f"old  {former} still works: write {present}{_renamed_value(former)}", "yellow")
    _show_settings(every or not is_terminal())
    if problems:
        raise SystemExit(1)


def _renamed_value(former: str) -> str:
    """The value too, where it has another name now."""
    if former != "AFTERCALL_SLACK":
        return ""
    return "=" + ",".join(IntegrationSettings().destinations_of("chat"))


def _verdict(problems: int, doors: int) -> str:
    works = "Every part can work" if not problems else f"{problems} part{_s(problems)} cannot work"
    stands = f"{doors or 'no'} door{_s(doors)} {'is' if doors == 1 else 'are'} open"
    return f"{works}; {stands}."


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _together(doors: Iterable[Door]) -> Iterator[tuple[str, str]]:
    """Doors, on a screen those of many sources in one line; without a terminal a line each."""
    sources = [door for door in doors if isinstance(door, SourceDoor)]
    for door in doors:
        if not isinstance(door, SourceDoor) or not is_terminal():
            yield door.what, door.remedy
    if sources and is_terminal():
        names = ", ".join(door.source for door in sources)
        yield f"{sources[0].of_receiver}: {names}", "set AFTERCALL_SECRET_<SOURCE>"


def _show_settings(every: bool) -> None:
    """Settings that differ from their defaults, or every one."""
    listing = Listing("setting", "value", "meaning", title="Settings", section="setting")
    seen: set[str] = set()
    left_out = 0
    for settings in (
        ReceiverSettings(),
        IntegrationSettings(),
        *_of_destinations(),
        BoardSettings(),
        DagsterSettings(),
        OrchestrationSettings(),
        RecoverySettings(),
    ):
        for name, value, meaning, is_default in _rows(settings):
            if name in seen:
                continue
            seen.add(name)
            left_out += is_default and not every
            if every or not is_default:
                listing.add(name, value, meaning)
    listing.show()
    if left_out:
        say(
            f"{left_out} settings have their defaults. To list them with their meaning: aftercall doctor --all"
        )


def _of_destinations() -> Iterator[BaseSettings]:
    """The settings of every destination."""
    yield from sorted(IntegrationSettings().parts(), key=lambda part: type(part).__name__)


def _rows(settings: BaseSettings) -> Iterator[tuple[str, str, str, bool]]:
    """Name, value, meaning, and whether nobody has set it."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        shown = str(value)
        if name in _BY_SOURCE:
            hidden = name in {"secrets", "api_keys"}
            shown = ", ".join(f"{key}: {'**********' if hidden else value[key]}" for key in value)
        shown = redact(shown, IntegrationSettings())
        label = _BY_SOURCE.get(name, f"AFTERCALL_{name.upper()}")
        is_default = name not in settings.model_fields_set and not (name in _BY_SOURCE and value)
        yield label, shown or "-", field.description or "", is_default


def _checks() -> Iterator[tuple[str, str | None]]:
    settings = OrchestrationSettings()
    settings.home.mkdir(parents=True, exist_ok=True)
    try:
        open_landing(settings.landing).check()
        yield "landing store can be written", None
    except (LandingUnavailable, UnknownLanding) as error:
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
    yield f"phone numbers without a country are read as {region or 'no country'}", unknown
    yield from _destinations(IntegrationSettings())
    unsigned = not ReceiverSettings().is_loopback and not ReceiverSettings().secrets
    hint = "set AFTERCALL_SECRET_<SOURCE>: every delivery would be refused"
    yield "the receiver can verify senders, or listens on this machine only", hint if unsigned else None
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
        ways = ", ".join(sorted(alert_channels(settings)))
        yield f"alerts go to {ways or 'nobody'}", None
    except BadAlerts as error:
        yield "alerts can go out", str(error)
