"""Squawk's word on migration files: a second opinion beside our own lint, which stays the judge."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.errors import Failed

if TYPE_CHECKING:
    from collections.abc import Iterable

SECONDS = 30
FOUND = 1  # its exit code where it has something to say
# The runner limits each statement and each wait for a lock, and its ledger lets a file run again.
OURS = ("prefer-robust-stmts", "require-lock-timeout", "require-statement-timeout")


class SquawkUnusable(Failed):
    """The program cannot be run, or says something that is not understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One thing that squawk says.

    Args:
        path: The file.
        line: The line, from 1.
        rule: Its name for it.
        message: In one line.
    """

    path: Path
    line: int
    rule: str
    message: str


def advice(paths: Iterable[Path]) -> tuple[Advice, ...]:
    """Ask about files, in one run of the program that was installed beside this one.

    Raises:
        SquawkUnusable: It cannot be run or read.
    """
    files = [str(path) for path in paths]
    if not files:
        return ()
    program = Path(sys.executable).with_name("squawk")
    command = [str(program), "--reporter", "json", "--exclude", ",".join(OURS), *files]
    try:
        done = subprocess.run(
            command, cwd="/", capture_output=True, text=True, timeout=SECONDS, check=False
        )
        told = json.loads(done.stdout) if done.returncode in {0, FOUND} else None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise _unusable(str(error)) from error
    if told is None:
        raise _unusable(done.stderr.strip() or f"exit {done.returncode}")
    return tuple(
        Advice(
            path=Path(each["file"]),
            line=int(each["line"]) + 1,
            rule=str(each["rule_name"]),
            message=" ".join(str(each["message"]).split()),
        )
        for each in told
    )


def _unusable(cause: str) -> SquawkUnusable:
    return SquawkUnusable(
        "squawk cannot be asked", hint="scripts/install installs it beside changeover", cause=cause
    )
