"""A controller as a process of its own, whose steps can be waited for and struck at."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator, Mapping

Event = dict[str, Any]
CAUSE_LINES = 20
END_SECONDS = 120
# No trial's command takes as long: one that does hangs, which is what a drill is to find.
LONGEST_SECONDS = 3600.0


@dataclass(slots=True, kw_only=True)
class Controller:
    """One command, run as a user would type it.

    Args:
        words: What is typed after ``changeover``; ``--json`` is added.
        process: The process.
        events: What it has told so far.
    """

    words: tuple[str, ...]
    process: subprocess.Popen[str]
    events: list[Event] = field(default_factory=list)

    def follow(
        self,
        step: str | None = None,
        strike: Callable[[], object] = lambda: None,
        seconds: float = LONGEST_SECONDS,
    ) -> int:
        """Read what it tells to its end, and strike once, as soon as a step has begun.

        Args:
            step: The step.
            strike: What is done then.
            seconds: After how long it is killed.

        Returns:
            Its exit code; negative for a signal that ended it.
        """
        with self.process, _drained(self.process) as said, _killed_after(seconds, self.process):
            struck = False
            for line in self.process.stdout or ():
                self.events.append(_event(line))
                if not struck and step and _begins(self.events[-1], step):
                    struck = True
                    strike()
            code = self.process.wait()
        if self.last.get("type") != "error" and said:
            self.events.append({"type": "stderr", "message": "".join(said)[-2000:]})
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    @property
    def last(self) -> Event:
        """Return the last event that it told."""
        return self.events[-1] if self.events else {}

    @property
    def message(self) -> str:
        """Return what it told at its end."""
        told = [one for one in self.events if one.get("type") in {"error", "deployment-end"}]
        return str((told or [{}])[-1].get("message", ""))


def begin(*words: str, variables: Mapping[str, str]) -> Controller:
    """Start a command; a Ctrl-C of who runs the drill does not reach it.

    Args:
        words: What is typed after ``changeover``.
        variables: Environment variables that it has besides ours.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "changeover", *words, "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
        start_new_session=True,
    )
    return Controller(words=words, process=process)


def end(controller: Controller) -> None:
    """End a command that was left running, as a Ctrl-C would."""
    if controller.process.poll() is None:
        controller.process.terminate()
        try:
            controller.process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            controller.process.kill()
            controller.process.communicate()


@contextlib.contextmanager
def _killed_after(seconds: float, process: subprocess.Popen[str]) -> Iterator[None]:
    late = threading.Timer(seconds, process.kill)
    late.daemon = True
    late.start()
    try:
        yield
    finally:
        late.cancel()


class _drained:  # noqa: N801 - reads as what it does to a process
    """Keeps a process's stderr from filling its pipe."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._said: list[str] = []
        self._thread = threading.Thread(
            target=lambda: self._said.extend(process.stderr or ()), daemon=True
        )

    def __enter__(self) -> list[str]:
        self._thread.start()
        return self._said

    def __exit__(self, *_: object) -> None:
        self._thread.join(timeout=10)


def _event(line: str) -> Event:
    try:
        found = json.loads(line)
    except ValueError:
        return {"type": "unreadable", "message": line}
    return found if isinstance(found, dict) else {"type": "unreadable", "message": line}


def _begins(event: Event, step: str) -> bool:
    return event.get("type") == "step-intent" and event.get("step") == step
