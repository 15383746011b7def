"""`--no-skips`: where everything that tests judge by was installed, a test that skips for want of something fails."""

from collections.abc import Generator

import pytest

# What nobody can install: material beside the checkout that is no part of it, and the right to mount.
NOT_TO_BE_INSTALLED = ("../shared", "may not mount a small disk")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips", action="store_true", help="fail where something is missing that make installs"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and item.config.getoption("--no-skips"):
        reason = report.longrepr[2]
        if not any(absent in reason for absent in NOT_TO_BE_INSTALLED):
            report.outcome, report.longrepr = "failed", f"--no-skips: {reason}"
    return report
