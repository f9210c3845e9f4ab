"""Follow what runs in a unit of its own to its end, whoever began it; and what is written down of it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from changeover.agent.colour import units
from changeover.agent.system import durable
from changeover.agent.transient.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from changeover.agent.call import Call
    from changeover.agent.transient.unit import Unit

SILENCE_SECONDS = 30.0


def follow(
    call: Call,
    unit: Unit,
    what: str,
    began: float,
    kept: Path,
    masked: Callable[[str], str],
    *,
    anew: bool,
) -> dict[str, Any]:
    """Take its output until it ends, and tell how; systemd knows it still.

    Args:
        call: The action's surroundings.
        unit: The unit.
        what: What runs, for whoever waits.
        began: When it began, in seconds of the epoch.
        kept: Where its output is kept, masked.
        masked: Takes secrets out of a line.
        anew: Whether it begins now.

    Returns:
        ``exit``, ``None`` where it was ended; ``result`` in systemd's word; ``seconds``; ``lines``
        that it printed.
    """
    output = Output(unit.raw_output, kept, masked, call.progress, anew=anew)
    heard = time.monotonic()
    while (end := unit.ended) is None:
        if output.drain():
            heard = time.monotonic()
        elif time.monotonic() - heard >= SILENCE_SECONDS:
            heard = time.monotonic()
            spent = time.time() - began
            call.progress(f"{what} has said nothing for {SILENCE_SECONDS:.0f} s, of {spent:.0f} s")
        time.sleep(units.POLL_SECONDS)
    output.drain(last=True)
    return {
        "exit": end.exit,
        "result": end.result,
        "seconds": round(time.time() - began, 2),
        "lines": output.lines,
    }


def await_end(unit: Unit) -> None:
    """Wait for the end of one that nobody knows any more: it is nobody's, and credited to nobody."""
    while unit.ended is None:
        time.sleep(units.POLL_SECONDS)
    unit.reap()


def write(path: Path, record: dict[str, Any]) -> None:
    """Write a record down for whoever comes next."""
    durable.ensure_directory(path.parent, 0o700)
    durable.write(path, json.dumps(record).encode())


def read(path: Path) -> dict[str, Any] | None:
    """Return what was written down; ``None`` where there is nothing to be read."""
    try:
        record = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return record if isinstance(record, dict) else None
