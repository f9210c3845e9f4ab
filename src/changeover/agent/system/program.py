"""System programs, run from argument lists with a deadline and a fixed environment."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ended: its exit code and what it wrote."""

    code: int
    output: str
    errors: str

    @property
    def said(self) -> str:
        """Return both streams, the way a person would have seen them."""
        return "\n".join(part for part in (self.output.strip(), self.errors.strip()) if part)


@dataclass(frozen=True, slots=True)
class Programs:
    """Runs programs found on one search path; nothing of the caller's environment is passed on."""

    search_path: str = SYSTEM_PATH

    def run(
        self,
        *arguments: str,
        seconds: float = DEFAULT_SECONDS,
        stdin: bytes | IO[bytes] = b"",
        variables: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run a program to its end, whatever its exit code; it reads bytes or an open file.

        Raises:
            ActionError: ``timed-out`` past ``seconds``; ``program-missing`` when it is not there.
        """
        source: dict[str, Any] = {"input" if isinstance(stdin, bytes) else "stdin": stdin}
        try:
            done = subprocess.run(
                arguments,
                **source,
                capture_output=True,
                env={"PATH": self.search_path, "LC_ALL": "C.UTF-8", **(variables or {})},
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            said = (error.stderr or b"").decode("utf-8", "replace")
            raise ActionError(
                "timed-out", f"{arguments[0]} did not end within {seconds:g} s", cause=said
            ) from error
        except FileNotFoundError as error:
            raise ActionError(
                "program-missing", f"{arguments[0]} is not installed on this host"
            ) from error
        return Finished(
            done.returncode,
            done.stdout.decode("utf-8", "replace"),
            done.stderr.decode("utf-8", "replace"),
        )

    def must(
        self,
        error: str,
        *arguments: str,
        seconds: float = DEFAULT_SECONDS,
        stdin: bytes | IO[bytes] = b"",
    ) -> str:
        """Run a program that has to succeed and return its output.

        Raises:
            ActionError: ``error``, with what the program said as the cause.
        """
        finished = self.run(*arguments, seconds=seconds, stdin=stdin)
        if finished.code == 0:
            return finished.output
        raise ActionError(
            error,
            f"{' '.join(arguments[:3])} ended with exit code {finished.code}",
            cause=finished.said,
        )
