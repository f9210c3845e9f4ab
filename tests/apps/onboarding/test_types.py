from __future__ import annotations

import os
import subprocess
import sys

from tests.apps.python_app import packages

from .desk import APP


def test_its_code_is_typed() -> None:
    """Mypy reads it with the packages that it runs with."""
    words = ["--strict", "--config-file=", "--cache-dir", os.devnull, "--python-executable"]
    modules = ["-p", "onboarding", "-p", "administration"]

    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words, packages(APP), *modules],
        cwd=APP,
        env={**os.environ, "MYPYPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
