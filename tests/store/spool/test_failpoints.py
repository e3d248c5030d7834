"""Failpoints are silent unless they are armed."""

import os
import signal
import subprocess
import sys

import pytest

SCRIPT = """
from driftline.store.spool import failpoints
for _ in range(3):
    if failpoints.ARMED: failpoints.reached("here")
    print("passed", flush=True)
"""


@pytest.mark.parametrize(
    ("armed", "passed", "code"), [("", 3, 0), ("elsewhere", 3, 0), ("here", 0, -signal.SIGKILL), ("here:3", 2, -9)]
)
def test_only_the_named_step_kills_and_only_when_it_is_reached_so_often(armed: str, passed: int, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "_DRIFTLINE_FAILPOINT": armed},
    )
    assert (done.stdout.count("passed"), done.returncode) == (passed, code)
