"""Run the programs that the lab is made with, each with a deadline."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

from changeover.errors import Failed

if TYPE_CHECKING:
    from pathlib import Path

Progress = Callable[[str], None]
CAUSE_CHARACTERS = 2000
END_SECONDS = 5


class ProgramFailed(Failed):
    """A program that the lab needs ended badly or ran past its deadline."""


def run(
    *arguments: str | Path,
    seconds: float = 30,
    directory: Path | None = None,
    environment: dict[str, str] | None = None,
) -> str:
    """Run a program and return what it wrote to stdout.

    Args:
        arguments: The program and its arguments.
        seconds: The deadline; a program that runs past it is killed.
        directory: Where it runs.
        environment: Variables on top of this process's own.

    Raises:
        ProgramFailed: It ended with another status than 0, or too late.
    """
    words = [str(argument) for argument in arguments]
    process = _begin(words, directory, environment)
    try:
        written, complaint = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as late:
        message = f"`{words[0]}` did not end within {seconds:.0f} seconds"
        raise ProgramFailed(message, hint="changeover lab up") from late
    finally:
        _end(process)
    if process.returncode:
        said = (complaint or written).strip()
        raise ProgramFailed(
            f"`{' '.join(words[:3])}` ended with status {process.returncode}",
            hint="remove what the cause names, then: changeover lab up",
            cause=said[-CAUSE_CHARACTERS:],
        )
    return written


def _begin(
    words: list[str], directory: Path | None, environment: dict[str, str] | None
) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=directory,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
            start_new_session=True,
        )
    except FileNotFoundError as missing:
        message = f"the program `{words[0]}` is not installed"
        raise ProgramFailed(message, hint="scripts/install") from missing


def _end(process: subprocess.Popen[str]) -> None:
    """End a program that still runs because its deadline passed or the user interrupted it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=END_SECONDS)
