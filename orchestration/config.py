"""Settings of the load, the build and Dagster.

The only module of this floor that reads the environment (and `.env`). Every setting carries the prefix
`AFTERCALL_`.
"""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr

from integrations.board.config import Guarded
from receiver.config import Bind, Home

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT = PROJECT_ROOT / "dbt_project"
WORKSPACE = PROJECT_ROOT / "workspace.yaml"
CODE_LOCATION = "orchestration.definitions"
"""The module that the workspace loads."""


class OrchestrationSettings(Home):
    """Settings of everything between the landing store and the outbox."""

    dagster_bind: str = Field(default="127.0.0.1:3000", description="host:port of the Dagster UI")
    load_max_bytes: int = Field(
        default=1 << 30,
        ge=1,
        description="landing bytes that one dlt load takes at most; a larger backlog becomes several loads",
    )
    load_chunk_bytes: int = Field(
        default=4 << 20, ge=1, description="landing bytes parsed at a time; bounds the memory of a load"
    )
    warehouse_url: str = Field(
        default="",
        repr=False,
        description="where the warehouse is, duckdb:///path/to/file.duckdb; default: warehouse.duckdb in the home",
    )
    warehouse_memory_limit: str = Field(
        default="400MB",
        description="DuckDB's memory limit while loading and publishing; large bodies may take more",
    )
    duckdb_memory: str = Field(default="2GB", description="DuckDB's memory limit while dbt builds")
    lock_timeout_seconds: float = Field(
        default=600,
        gt=0,
        description="longest wait for another process that writes the warehouse, in seconds",
    )
    landing_sensor_seconds: int = Field(
        default=1, ge=1, description="shortest pause between two looks at the landing store, in seconds"
    )
    channel_sensor_seconds: int = Field(
        default=15,
        ge=1,
        description="shortest pause between two looks for due actions of a channel, in seconds",
    )
    published_sensor_seconds: int = Field(
        default=5, ge=1, description="shortest pause between two looks at the published copy, in seconds"
    )
    problem_sensor_seconds: int = Field(
        default=60, ge=1, description="shortest pause between two looks for incidents, in seconds"
    )
    space_sensor_seconds: int = Field(
        default=60, ge=1, description="shortest pause between two looks at free space, in seconds"
    )
    landing_retention_days: int = Field(
        default=0,
        ge=0,
        description="days after its last line when a loaded landing segment is removed; 0: kept forever",
    )

    run_retention_count: int = Field(
        default=500, ge=10, description="finished runs of each job that Dagster's history keeps"
    )
    run_retention_days: int = Field(
        default=30,
        ge=1,
        description="days after which a finished run is removed; the newest ten of a job stay",
    )
    tick_retention_hours: int = Field(
        default=24, ge=1, description="hours after which a sensor's tick is removed from Dagster's history"
    )
    log_max_bytes: int = Field(
        default=50 << 20,
        ge=1 << 10,
        description="size in bytes at which `aftercall up` starts a new log file; the end of the old one stays",
    )

    publish_every_seconds: float = Field(
        default=30,
        ge=0,
        description="shortest time between two published copies under Dagster, in seconds",
    )
    publish_parquet: bool = Field(
        default=False, description="1: also write each published copy as Parquet, one file per mart and day"
    )

    failed_run_pause_seconds: int = Field(
        default=300,
        ge=1,
        description="seconds that a sensor waits after a run and its retries have failed",
    )

    @property
    def parquet(self) -> Path:
        """The published marts as Parquet: one folder per mart, one file per day."""
        return self.home / "published" / "parquet"

    @property
    def dbt_target(self) -> Path:
        """Dbt's target folder: manifest, compiled SQL and the parse cache of this home."""
        return self.home / "dbt"


class DagsterSettings(Guarded):
    """Where Dagster's web server listens, and who may see it."""

    bind_setting: ClassVar = "dagster_bind"
    title: ClassVar = "Dagster"
    password_setting: ClassVar = "AFTERCALL_DAGSTER_PASSWORD"  # noqa: S105 - the name of a setting

    dagster_bind: Bind = Field(default="127.0.0.1:3000", description="host:port of the Dagster UI")
    dagster_password: SecretStr = Field(
        default=SecretStr(""),
        description="password of the Dagster UI; default: the board's; needed to listen beyond this machine",
    )

    @property
    def password(self) -> str:
        """The password in plain text; empty when neither this one nor the board's is configured."""
        return self.dagster_password.get_secret_value() or super().password
