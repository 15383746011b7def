"""The verdicts of `marts.source_quality_daily` on a platform's last day, in words.

What is usual belongs to that model. Reads the published copy, so neither this check nor the warehouse waits.
"""

from dataclasses import dataclass
from datetime import date

from orchestration.config import OrchestrationSettings
from orchestration.warehouse import NotPublished, RelationMissing, open_warehouse

KINDS = ("volume", "null_rate", "satisfaction")
_LAST_DAY = """
select call_date, source, measure, value, calls_behind, days_before, usual_value, usual_from, usual_to, verdict
from source_quality_daily
where kind = $kind and call_date = (select max(call_date) from source_quality_daily)
order by source, measure
"""
_NAMES = {
    "call_count": "calls",
    "phone_null_rate": "answered calls without a customer's number",
    "agent_null_rate": "answered calls without an agent",
    "duration_null_rate": "answered calls without a duration",
    "satisfaction_null_rate": "answered calls without a satisfaction score",
    "resolution_null_rate": "answered calls with unknown resolution",
    "average_satisfaction": "average satisfaction",
}
_LOOK_AT = {
    "volume": "Look at whether its webhooks arrive (`aftercall doctor`), whether its list knows more calls "
    "(docs/recovery.md), and whether an agent or a number was switched on or off.",
    "null_rate": "Look at whether the platform's bodies changed (the check `events_look_as_before`), at the "
    "agent's post-call analysis, and at the model in dbt_project/models/staging/ that reads the field.",
    "satisfaction": "Look at its agents in `scorecard_daily` and read the lowest calls; if the scale moved rather "
    "than the customers, look at the agent's instructions for measuring.",
}


@dataclass(frozen=True)
class Judged:
    """One measure of one platform on one day (UTC), beside what was usual; shares from 0 to 1, satisfaction 1 to 5."""

    call_date: date
    source: str
    measure: str
    value: float
    calls_behind: int
    days_before: int
    usual_value: float | None
    usual_from: float | None
    usual_to: float | None
    verdict: str

    @property
    def is_unusual(self) -> bool:
        """True if the value lies outside the usual range and there was enough history to judge."""
        return self.verdict in {"too_low", "too_high"}

    @property
    def sentence(self) -> str:
        """Platform, day, value and usual range as a sentence."""
        days = (
            f"{self.days_before} {self.call_date:%A}s"
            if self.measure == "call_count"
            else f"{self.days_before} days"
        )
        return (
            f"{self.source}, {self.call_date}: {_shown(self.measure, self.value)} {_NAMES[self.measure]}, usually "
            f"{_shown(self.measure, self.usual_value)} ({_shown(self.measure, self.usual_from)} to "
            f"{_shown(self.measure, self.usual_to)}, from {days})"
        )


def last_day(settings: OrchestrationSettings, kind: str) -> list[Judged]:
    """The measures of a kind on the last complete day; none before anything was published."""
    try:
        with open_warehouse(settings).published.connect() as connection:
            return [Judged(*row) for row in connection.rows(_LAST_DAY, {"kind": kind})]
    except (NotPublished, RelationMissing):  # or a copy from before this mart existed
        return []


def summary(kind: str, judged: list[Judged]) -> str:
    """The unusual measures and where to look, or why nothing was judged."""
    unusual = [one.sentence for one in judged if one.is_unusual]
    if unusual:
        return "; ".join(unusual) + f". {_LOOK_AT[kind]}"
    if not judged:
        return "no day to judge yet"
    young = sorted({one.source for one in judged if one.verdict == "not_enough_history"})
    return f"not enough history: {', '.join(young)}" if young else "as usual"


def _shown(measure: str, value: float | None) -> str:
    if value is None:
        return "?"
    if measure.endswith("_rate"):
        return f"{value:.0%}"
    return f"{value:.0f}" if measure == "call_count" else f"{value:.1f}"
