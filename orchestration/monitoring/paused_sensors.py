"""Sensors that a person switched off: which channels are paused, and the finding for each sensor that stays off."""

from datetime import timedelta

import dagster as dg

from integrations.config import IntegrationSettings
from integrations.destinations import CHANNELS
from integrations.outbox import Finding

SUBJECT = "raw/call_events:sensors_run"


def sensor_name(channel: str) -> str:
    """Name of the sensor that a person switches off to pause a channel."""
    return f"{channel}_sensor"


_CONSEQUENCES = {
    "landing_sensor": ("passes", "Passes are switched off", "New events wait in the landing store."),
    "published_sensor": ("publishing", "Publishing is switched off", "The numbers may stay those of an older pass."),
} | {
    sensor_name(channel): (channel, f"The {channel} channel is switched off", "Its actions wait in the outbox.")
    for channel in CHANNELS
}  # fmt: skip


def is_paused(instance: dg.DagsterInstance, channel: str) -> bool:
    """True if a person stopped the channel's sensor; a sensor that never ran is not paused."""
    return sensor_name(channel) in _stopped(instance)


def switched_off(instance: dg.DagsterInstance, settings: IntegrationSettings) -> list[Finding]:
    """A finding for each sensor that a person switched off; an alert follows for one that stays off."""
    stopped = _stopped(instance)
    return [
        Finding(
            f"paused:{key}",
            SUBJECT,
            headline,
            f"{sensor} is switched off. {consequence}",
            f"Switch {sensor} on again in the Dagster UI, below Automation.",
            alert_after=timedelta(minutes=settings.alert_waiting_minutes),
        )
        for sensor, (key, headline, consequence) in _CONSEQUENCES.items()
        if sensor in stopped
    ]


def _stopped(instance: dg.DagsterInstance) -> set[str]:
    return {state.instigator_name for state in instance.all_instigator_state() if not state.is_running}
