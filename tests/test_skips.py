"""That a skip is a failure where everything can be there, and only there."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SKIPPING = """
import pytest

@pytest.fixture
def desk():
    pytest.skip("needs Redmine: make systems")

def test_with_a_desk(desk): ...

@pytest.mark.skipif(True, reason="needs the recorded calls in ../shared/calls")
def test_with_calls(): ...

@pytest.mark.xfail
def test_wrong(): assert False

def test_right(): ...
"""


def test_what_can_be_installed_is_missed_and_the_rest_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SKIPPING)
    flags = ["-q", "--no-skips", "-c", "/dev/null", "-p", "tests.skips", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", *flags, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "1 passed, 1 skipped, 1 xfailed, 1 error" in done.stdout
    assert "--no-skips: Skipped: needs Redmine: make systems" in done.stdout
