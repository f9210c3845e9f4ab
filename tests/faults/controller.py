"""Run a command of changeover that strikes itself at a numbered write of its journal.

    python -m tests.faults.controller WHEN NUMBER SIGNAL[,SIGNAL] -- deploy 8.0.0 --yes

WHEN is `before` (nothing of the record is written), `torn` (half of it is) or `after` (it is on the
disk). The product's code runs unchanged: what strikes stands between it and the system. A second
signal follows at the next write, or after half a second where there is none.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from changeover.cli import main

SECOND_SECONDS = 0.5
STRUCK = "struck at its record"
_write, _sync = os.write, os.fsync


class Striker:
    """Counts the writes of journals, and sends this process its signals at one of them."""

    def __init__(self, when: str, number: int, signals: list[signal.Signals]) -> None:
        self._when = when
        self._number = number
        self._signals = signals
        self._written = 0

    def write(self, handle: int, content: bytes) -> int:
        """Write, as the system does, but for the record that is struck."""
        if not _is_journal(handle):
            return _write(handle, content)
        self._written += 1
        if self._when == "torn" and self._written == self._number:
            _write(handle, content[: len(content) // 2])
        if self._when != "after":
            self._strike()
        return _write(handle, content)

    def sync(self, handle: int) -> None:
        """Sync, as the system does, and strike after the record that is struck."""
        _sync(handle)
        if self._when == "after" and _is_journal(handle):
            self._strike()

    def _strike(self) -> None:
        if self._signals and self._written >= self._number:
            _write(2, f"{STRUCK} {self._written}\n".encode())
            os.kill(os.getpid(), self._signals.pop(0))
            if self._signals:
                threading.Timer(SECOND_SECONDS, self._second).start()

    def _second(self) -> None:
        if self._signals:
            os.kill(os.getpid(), self._signals.pop(0))


def _is_journal(handle: int) -> bool:
    path = Path(f"/proc/self/fd/{handle}")
    return str(path.readlink()).endswith(".jsonl")


if __name__ == "__main__":
    when, number, names, _, *words = sys.argv[1:]
    striker = Striker(
        when, int(number), [signal.Signals[f"SIG{name}"] for name in names.split(",")]
    )
    # A shell has what it runs in the background ignore SIGINT; the user of a terminal does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.write, os.fsync = striker.write, striker.sync  # type: ignore[assignment]
    sys.argv = ["changeover", *words]
    main()
