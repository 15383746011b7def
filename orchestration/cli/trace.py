"""`aftercall trace`: one call, from the landing line to the last attempt at its last action."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from integrations.config import IntegrationSettings
from integrations.outbox import Action
from orchestration.cli.output import Listing, say, say_json, whole
from orchestration.config import OrchestrationSettings
from orchestration.tools.trace import Trace, TracedCall, trace
from receiver.landing import SegmentDamaged

_CALL = (
    "direction",
    "customer_phone",
    "agent_id",
    "started_at",
    "ended_at",
    "duration_seconds",
    "status",
    "summary",
)
_OUTCOME = (
    "disposition", "is_resolved", "satisfaction_score", "sentiment", "is_transfer_requested", "needs_follow_up",
    "issue_type", "is_vip",
)  # fmt: skip
_STYLES = {"sent": "green", "found": "green", "dead": "red", "retrying": "yellow", "skipped": "dim"}


@click.command("trace")
@click.argument("call_id")
@click.option("--source", help="Only the call of this source.", metavar="NAME")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@click.option("--wait", default=10.0, show_default=True, help="Longest wait for the warehouse, seconds.")
def trace_command(call_id: str, source: str | None, as_json: bool, wait: float) -> None:
    """Show a call's story: events with their landing lines and times of load and build; outcome; actions."""
    settings = OrchestrationSettings()
    try:
        with Console(stderr=True).status("looking for the call"):
            story = trace(settings, IntegrationSettings(), call_id, source, wait)
    except SegmentDamaged as error:
        raise click.ClickException(str(error)) from error
    if not story.calls:
        of = f" of source {source!r}" if source else ""
        raise click.ClickException(
            f"no call {call_id!r}{of} in {settings.home}: neither loaded, nor waiting to be loaded, nor acted upon"
            f"{'; the warehouse is busy, so try again, or --wait longer' if story.is_busy else ''}. "
            "To search all that ever landed: aftercall landing cat --call ID"
        )
    if as_json:
        say_json(_as_json(story))
        return
    if story.is_busy:
        say("The warehouse is busy: calls are shown from its published copy, without their loads.", "yellow")
    for call in story.calls.values():
        _print(call)


def _as_json(story: Trace) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [plain(inner) for inner in value]
        return value.isoformat() if isinstance(value, datetime | date) else value

    calls = [asdict(call) for call in story.calls.values()]
    return {"call_id": story.call_id, "warehouse_busy": story.is_busy, "calls": plain(calls)}


def _print(call: TracedCall) -> None:
    say(f"\nCall {whole(call.call_id)} of {whole(call.source) or 'unknown source'}", "bold")
    facts = Listing("", "", section="fact")
    for row, names in ((call.call, _CALL), (call.outcome, _OUTCOME)):
        for name in names if row else ():
            facts.add(Text(name.replace("_", " "), "dim"), _cell(row[name] if row else None))
    facts.show()
    story = Listing("when", "what", "details", title="Timeline (UTC)", section="timeline")
    for when, what, details in sorted(_story(call), key=lambda entry: entry[0]):
        story.add(_when(when), Text(what, _STYLES.get(what.rpartition(" ")[2], "")), details)
    story.show()
    _show_actions(call)


def _story(call: TracedCall) -> Iterator[tuple[datetime, str, str]]:
    """Time, event and details of each step; the details hold no control character."""
    loads: dict[datetime, list[str]] = defaultdict(list)
    for event in call.events:
        name = whole(event.event_type) or "an event"
        for number, place in enumerate(event.places):
            again = " again" if number else ""
            yield (
                place.received_at,
                f"received{again}",
                f"{name} {whole(event.event_id)}\n{place.segment} @ {place.offset}",
            )
        if not event.places:
            removed = "its landing segment was removed"
            yield event.received_at, "received", f"{name} {whole(event.event_id)}\n{removed}"
        if event.loaded_at is not None:
            loads[event.loaded_at].append(name)
        if event.set_aside_at is not None:
            yield event.set_aside_at, "set aside", f"{name}: {whole(event.set_aside_because)}"
    for when, names in loads.items():
        yield when, "loaded", ", ".join(names)
    if call.built_at is not None:
        yield call.built_at, "built", "call and outcome, as above"
    for traced in call.actions:
        action = traced.action
        name = _name(action)
        yield action.created_at, "in the outbox", f"{name}, for {whole(action.destination)}"
        for attempt in traced.attempts:
            outcome = whole(attempt.error) or (whole(action.external_id) if attempt.outcome == "sent" else "")
            tried = f"{name} at {whole(attempt.destination)}, try {attempt.number}"
            yield attempt.finished_at, attempt.outcome, f"{tried}{': ' if outcome else ''}{outcome}"
        if action.status == "skipped":
            yield action.updated_at, "skipped", f"{name}: {whole(action.last_error)}"


def _show_actions(call: TracedCall) -> None:
    columns = ("action", "key", "destination", "status", "tries", "external id", "sent", "last error")
    listing = Listing(*columns, title="Actions", section="action")
    for traced in call.actions:
        action = traced.action
        shared = " (shared by the customer's calls)" if traced.is_shared else ""
        listing.add(
            f"{_name(action)}{shared}",
            _cell(action.action_key),
            _cell(action.destination),
            Text(action.status, _STYLES.get(action.status, "")),
            str(action.attempts),
            _cell(action.external_id),
            _when(action.sent_at),
            _cell(action.last_error),
        )
    listing.show()


def _name(action: Action) -> str:
    return action.kind if action.kind == action.channel else f"{action.channel} {action.kind}"


def _when(moment: datetime | None) -> Text:
    return Text("-" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}")


def _cell(value: object) -> Text:
    """A stranger's value as one line of plain text: no markup, no control character, no turned direction."""
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, datetime):
        return _when(value)
    return Text(whole(value) or "-")
