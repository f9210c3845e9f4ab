from __future__ import annotations

import os
import subprocess
import sys

from tests.apps.python_app import packages

from .system import APP, MODULES


def test_its_code_is_typed() -> None:
    """Mypy reads it with the packages that it runs with."""
    words = ["--strict", "--config-file=", "--cache-dir", os.devnull, "--python-executable"]
    modules = [
        word for name in ("voxflow", *sorted(set(MODULES.values()))) for word in ("-p", name)
    ]

    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words, packages(APP), *modules],
        cwd=APP,
        env={**os.environ, "MYPYPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_migration_helper_is_typed() -> None:
    words = ["--strict", "--config-file=", "--cache-dir", os.devnull, "-p", "migration_helper"]

    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words],
        cwd=APP / "migration_helper",
        env={**os.environ, "MYPYPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
