"""A command of a drill that hangs is killed: a drill that waits for it would tell nobody."""

from __future__ import annotations

import signal
import subprocess
import sys

from changeover.drill.controller import Controller

HANGS = "import time; print('{}', flush=True); time.sleep(600)"


def test_a_command_that_does_not_end_is_killed_and_says_so_by_its_code() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HANGS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    assert Controller(words=("deploy",), process=process).follow(seconds=0.5) == -signal.SIGKILL
