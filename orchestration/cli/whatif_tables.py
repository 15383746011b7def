"""The report of `aftercall whatif` as tables, with phone numbers and addresses masked, since people pass it on."""

from collections import Counter
from collections.abc import Iterable

import click
from rich.text import Text

from integrations.board.masking import text as masked
from integrations.rendering import line
from orchestration.cli.output import Listing, whole
from orchestration.load.window import Window
from orchestration.tools.whatif import Report
from orchestration.tools.whatif.compare import CHANGED, GONE, NEW, Example, Field, Group

_STYLES = {NEW: "green", GONE: "red", CHANGED: "yellow"}
_CELL = 60


def show(report: Report, window: Window) -> None:
    """Print sums, then some calls and actions one by one, then the totals in words."""
    differences = report.differences
    fields = Listing("calls", "what differs", "before → after", title="Calls", section="calls")
    for one in differences.call_fields:
        fields.add(str(one.times), one.field, _transitions(one))
    fields.show()
    _show_actions(differences.actions, differences.action_fields)
    for name, examples in (("call", differences.call_examples), ("action", differences.action_examples)):
        _show_examples(name, examples)
    differing = sum(differences.calls.values())
    span = f"from {window.since:%Y-%m-%d %H:%M} to {window.until:%Y-%m-%d %H:%M} UTC"
    click.echo(
        f"{report.calls} calls with their first event {span}: {_of_calls(differences.calls, differing)}"
    )
    sums: Counter[str] = Counter()
    for group in differences.actions:
        sums[group.what] += group.times
    click.echo(
        f"{differences.due[0]} actions due as configured, {differences.due[1]} as proposed: "
        f"{sums[NEW]} new, {sums[GONE]} no longer due, {sums[CHANGED]} changed"
    )
    for currency, (before, after) in differences.costs.items():
        if f"{before:.2f}" != f"{after:.2f}":
            click.echo(f"{before:,.2f} {currency} cost of the calls as configured, {after:,.2f} as proposed")
    if young := sum(group.young for group in differences.actions):
        click.echo(
            f"{young} of the new ones are within their channel's age limit: those that were not done before go out "
            "at the first pass under the new rule"
        )
    if report.warehouse:
        click.echo(f"kept: {report.warehouse} (schemas configured, proposed; table differences)")


def _of_calls(calls: dict[str, int], differing: int) -> str:
    if not differing:
        return "none would differ"
    others = "".join(
        f", {calls[what]} {name}" for what, name in ((NEW, "new"), (GONE, "gone")) if calls.get(what)
    )
    return f"{differing} would differ{others}"


def _show_actions(groups: Iterable[Group], fields: Iterable[Field]) -> None:
    columns = ("actions", "would be", "action", "what differs")
    listing = Listing(*columns, title="Actions", section="actions")
    fields = list(fields)
    for group in groups:
        of_kind = [one for one in fields if (one.channel, one.kind) == (group.channel, group.kind)]
        details = Text("\n").join(
            Text(f"{one.field} {one.times}  ").append_text(_transitions(one)) for one in of_kind
        )
        name = " ".join(filter(None, (group.channel, group.kind if group.kind != group.channel else "")))
        variety = f": {line(group.variety)}" if group.variety else ""
        listing.add(
            str(group.times),
            Text(f"{group.what} due" if group.what == GONE else group.what, _STYLES[group.what]),
            Text(f"{name}{variety}"),
            details if group.what == CHANGED else "",
        )
    listing.show()


def _transitions(one: Field) -> Text:
    text = Text()
    for number, step in enumerate(one.transitions):
        text.append("; " if number else "").append(f"{_value(step.before)} → {_value(step.after)}")
        if len(one.transitions) > 1:
            text.append(f" {step.times}", "bold")
    return text


def _show_examples(name: str, examples: Iterable[Example]) -> None:
    title = f"{name.capitalize()}s, first of those that differ"
    listing = Listing(name, "would be", "before → after", title=title, section=f"{name} example")
    for one in examples:
        details = Text("\n").join(
            Text(f"{name}: ", "bold").append(f"{_value(before)} → {_value(after)}", "not bold")
            for name, (before, after) in one.fields.items()
        )
        variety = f" {line(one.variety)}" if one.variety and one.what != CHANGED else ""
        listing.add(masked(whole(one.key), mask=True), f"{one.what}{variety}", details)
    listing.show()


def _value(value: str | None) -> str:
    return "-" if value is None else masked(line(value, _CELL), mask=True) or "empty"
