"""What a person sees and does in the Dagster UI, by the GraphQL that the UI itself speaks."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

LOCATION = "aftercall"
REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": LOCATION}
OVER = {"SUCCESS", "FAILURE", "CANCELED"}

_RUNS = """
query($filter: RunsFilter) { runsOrError(filter: $filter) { ... on Runs { results {
    runId jobName status parentRunId creationTime startTime endTime tags { key value }
} } } }
"""
_EVENTS = """
query($run: ID!) { logsForRun(runId: $run, limit: 1000) { ... on EventConnection { events {
    __typename ... on MessageEvent { message level stepKey }
} } } }
"""
_LAUNCH = """
mutation($job: String!, $repository: String!, $location: String!) { launchRun(executionParams: {
    selector: {jobName: $job, repositoryName: $repository, repositoryLocationName: $location}, runConfigData: {}
}) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
_SENSORS = """
query($repository: RepositorySelector!) { sensorsOrError(repositorySelector: $repository) {
    ... on Sensors { results { name description sensorState { id status } } }
} }
"""
_SCHEDULES = """
query($repository: RepositorySelector!) { schedulesOrError(repositorySelector: $repository) {
    ... on Schedules { results { name description scheduleState { status } } }
} }
"""
_STOP = "mutation($id: String!) { stopSensor(id: $id) { __typename } }"
_START = """
mutation($sensor: String!, $repository: String!, $location: String!) { startSensor(sensorSelector: {
    sensorName: $sensor, repositoryName: $repository, repositoryLocationName: $location
}) { __typename } }
"""
_INSTANCE = "{ instance { info daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
_LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries {
    name loadStatus locationOrLoadError { __typename ... on PythonError { message } }
} } } }
"""


@dataclass(frozen=True)
class DagsterUi:
    """A running web server; of `aftercall up` where `home` is given, which asks for the token of that home."""

    url: str
    home: Path | None = None

    def headers(self) -> dict[str, str]:
        token = self.home and self.home / "access-token"
        return {"Authorization": f"Bearer {token.read_text().strip()}"} if token and token.exists() else {}

    def ask(self, query: str, **variables: object) -> Any:
        answer = requests.post(
            f"{self.url}/graphql",
            json={"query": query, "variables": variables},
            headers=self.headers(),
            timeout=30,
        )
        told = answer.json()
        assert "errors" not in told, told
        return told["data"]

    def locations(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask(_LOCATIONS)["workspaceOrError"]["locationEntries"]
        return found

    def instance(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(_INSTANCE)["instance"]
        return found

    def sensors(self) -> dict[str, dict[str, Any]]:
        found = self.ask(_SENSORS, repository=REPOSITORY)["sensorsOrError"]["results"]
        return {sensor["name"]: sensor for sensor in found}

    def schedules(self) -> dict[str, dict[str, Any]]:
        found = self.ask(_SCHEDULES, repository=REPOSITORY)["schedulesOrError"]["results"]
        return {schedule["name"]: schedule for schedule in found}

    def switch_off(self, sensor: str) -> None:
        self.ask(_STOP, id=self.sensors()[sensor]["sensorState"]["id"])

    def switch_on(self, sensor: str) -> None:
        self.ask(_START, sensor=sensor, repository=REPOSITORY["repositoryName"], location=LOCATION)

    def launch(self, job: str) -> str:
        told = self.ask(_LAUNCH, job=job, repository=REPOSITORY["repositoryName"], location=LOCATION)
        assert told["launchRun"]["__typename"] == "LaunchRunSuccess", told
        return str(told["launchRun"]["run"]["runId"])

    def runs(self, job: str | None = None) -> list[dict[str, Any]]:
        """The oldest first; tags as a mapping."""
        wanted = {"pipelineName": job} if job else {}
        found = self.ask(_RUNS, filter=wanted)["runsOrError"]["results"]
        for run in found:
            run["tags"] = {tag["key"]: tag["value"] for tag in run["tags"]}
        return sorted(found, key=lambda run: float(run["creationTime"]))

    def run(self, run_id: str) -> dict[str, Any]:
        return next(run for run in self.runs() if run["runId"] == run_id)

    def events(self, run_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask(_EVENTS, run=run_id)["logsForRun"]["events"]
        return found

    def is_idle(self) -> bool:
        return all(run["status"] in OVER for run in self.runs())

    def is_at_work(self, job: str) -> bool:
        """Whether a run of the job has begun its steps and not ended."""
        return any(run["status"] == "STARTED" for run in self.runs(job))


def wait_until(holds: Callable[[], object], what: str, seconds: float = 300) -> None:
    """Wait for something; a web server that does not answer yet counts as not."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if holds():
                return
        except requests.RequestException:
            pass
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.3)
