"""Within a pass tickets and contacts are made before the Slack messages that lead to them."""

from pathlib import Path

import dagster as dg

from orchestration.defs.assets.channels import channel_asset


def test_slack_goes_last_in_one_process(tmp_path: Path) -> None:
    done: list[str] = []

    def asset(channel: str) -> dg.AssetsDefinition:
        real = channel_asset(channel)

        @dg.asset(name=channel, op_tags=real.op.tags)
        def _channel() -> None:
            done.append(channel)

        return _channel

    assets = [asset(channel) for channel in ("chat", "email", "crm", "ticket")]
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
        job = dg.define_asset_job("order", executor_def=dg.in_process_executor)
        found = dg.Definitions(assets=assets, jobs=[job]).resolve_job_def("order")
        assert found.execute_in_process(instance=instance).success
    assert done == ["ticket", "crm", "email", "chat"]
