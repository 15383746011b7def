"""One asset per channel: bring the outbox up to date, then make the first attempt at what is due.

A channel whose sensor is switched off in the UI is filled but not sent. How an action is carried out belongs to
`integrations/`.
"""

from dataclasses import asdict
from datetime import UTC, datetime

import dagster as dg

import integrations.outbox as ledger
from integrations.destinations import CHANNELS
from integrations.outbox import dispatch
from orchestration.defs.assets import metadata
from orchestration.defs.assets.raw import OWNERS
from orchestration.defs.pass_config import PassConfig
from orchestration.defs.resources import Outbox, Settings
from orchestration.monitoring.paused_sensors import is_paused, sensor_name
from orchestration.warehouse import due_actions

_DUE = dg.AssetKey(["intermediate", "int_due_actions"])
# A chat message links to the ticket and the contact of its call, so these come first; it does not depend on them.
PRIORITIES = {"ticket": "3", "crm": "2", "email": "1", "chat": "0"}


def channel_asset(channel: str) -> dg.AssetsDefinition:
    """The asset of one channel."""

    @dg.asset(
        key=["outbox", channel],
        # the sync views that it reads, and the table below them: a pass builds the table alone
        deps=[*(dg.AssetKey(["sync", table]) for table in due_actions.SYNC_TABLES[channel]), _DUE],
        group_name="actions",
        kinds={"python"},
        owners=OWNERS,
        pool=f"channel_{channel}",
        op_tags={"dagster/priority": PRIORITIES[channel]},
        description=f"Actions of the {channel} channel: entered in the outbox, and attempted once when due.",
    )
    def _channel(
        context: dg.AssetExecutionContext, config: PassConfig, settings: Settings, outbox: Outbox
    ) -> dg.MaterializeResult[None]:
        integrations, started = settings.integrations(), datetime.now(UTC)
        with outbox.open() as opened:
            try:
                filled = due_actions.fill(
                    opened,
                    channel,
                    settings.orchestration(),
                    integrations,
                    config.is_full_refresh(context.run.job_name),
                )
            except Exception:
                # what the outbox already holds, alerts above all, does not wait for the warehouse
                if not is_paused(context.instance, channel):
                    dispatch(opened, channel, integrations)
                raise
            results: dict[str, dg.MetadataValue | int | str | float] = {
                "created": filled.created,
                "updated": filled.updated,
                "unchanged": filled.unchanged,
                "skipped": filled.skipped,
            }
            if is_paused(context.instance, channel):
                context.log.warning("%s is switched off: nothing sent", sensor_name(channel))
                results["paused"] = "yes"
            else:
                sent = dispatch(opened, channel, integrations)
                results |= {"sent": sent.sent, "retrying": sent.retrying, "dead": sent.dead}
            return dg.MaterializeResult(metadata={**results, **_contents(opened, channel, started)})

    return _channel


def _contents(
    outbox: ledger.Outbox, channel: str, started: datetime
) -> dict[str, dg.MetadataValue | int | float]:
    """The channel's actions by kind and status, the wait of the oldest due one, and the seconds since `started`."""
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
