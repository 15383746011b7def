"""One asset a channel: bring the outbox up to date, then the first attempt of what is due.

A channel whose sensor was switched off in the UI is filled but not sent. How an action is carried out belongs to
`integrations/`.
"""

from dataclasses import asdict
from datetime import UTC, datetime

import dagster as dg

from integrations.outbox import Outbox, dispatch, open_outbox
from orchestration.defs.assets import metadata
from orchestration.defs.assets.raw import EVERYTHING_TAG, OWNERS
from orchestration.defs.resources import Aftercall
from orchestration.warehouse import due_actions

CHANNELS = tuple(due_actions.SYNC_TABLES)
_DUE = dg.AssetKey(["intermediate", "int_due_actions"])
# A chat message leads to the ticket and the contact of its call, so they are made first; none of them is a condition.
PRIORITIES = {"ticket": "3", "crm": "2", "email": "1", "chat": "0"}


def sensor_name(channel: str) -> str:
    """Name of the sensor that can be switched off to pause a channel."""
    return f"{channel}_sensor"


def is_paused(instance: dg.DagsterInstance, channel: str) -> bool:
    """Whether somebody stopped the channel's sensor; one that never ran is not paused."""
    states = instance.all_instigator_state()
    return any(state.instigator_name == sensor_name(channel) and not state.is_running for state in states)


def channel_asset(channel: str) -> dg.AssetsDefinition:
    """The asset of one channel."""

    @dg.asset(
        key=["outbox", channel],
        # the views that it reads, and the table below them, which is what a pass builds
        deps=[*(dg.AssetKey(["sync", table]) for table in due_actions.SYNC_TABLES[channel]), _DUE],
        group_name="actions",
        kinds={"python"},
        owners=OWNERS,
        pool=f"channel_{channel}",
        op_tags={"dagster/priority": PRIORITIES[channel]},
        description=f"Actions of the {channel} channel: in the outbox, and tried once when due.",
    )
    def _channel(context: dg.AssetExecutionContext, aftercall: Aftercall) -> dg.MaterializeResult[None]:
        integrations = aftercall.integrations()
        outbox = open_outbox(integrations.outbox_url)
        everything = context.run.tags.get(EVERYTHING_TAG) == "yes"
        started = datetime.now(UTC)
        try:
            filled = due_actions.fill(outbox, channel, aftercall.orchestration(), integrations, everything)
        except Exception:
            # what the outbox holds already, alerts above all, does not wait for the warehouse
            if not is_paused(context.instance, channel):
                dispatch(outbox, channel, integrations)
            raise
        said: dict[str, dg.MetadataValue | int | str | float] = {
            "created": filled.created,
            "updated": filled.updated,
            "unchanged": filled.unchanged,
            "skipped": filled.skipped,
        }
        if is_paused(context.instance, channel):
            context.log.warning("%s is switched off: nothing sent", sensor_name(channel))
            said["paused"] = "yes"
        else:
            sent = dispatch(outbox, channel, integrations)
            said |= {"sent": sent.sent, "retrying": sent.retrying, "dead": sent.dead}
        return dg.MaterializeResult(metadata={**said, **_held(outbox, channel, started)})

    return _channel


def _held(outbox: Outbox, channel: str, started: datetime) -> dict[str, dg.MetadataValue | int | float]:
    """The channel's actions by kind and status, how long the oldest due one waits, and the seconds since `started`."""
    now = datetime.now(UTC)
    left = outbox.backlog(channel, now)
    counts = [asdict(count) for count in outbox.counts() if count.channel == channel]
    return {
        "dagster/row_count": sum(count["actions"] for count in counts),
        "waiting": left.due + left.later,
        "lag_seconds": metadata.seconds_since(left.oldest_due_at, now),
        "seconds": round((now - started).total_seconds(), 2),
        "actions": dg.MetadataValue.json(
            {f"{one['kind']} {one['status']}": one["actions"] for one in counts}
        ),
    }


channel_assets = [channel_asset(channel) for channel in CHANNELS]
