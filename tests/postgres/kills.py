"""Kill what changes a database at random moments, run it again plainly, and look at what came of it."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from tests.postgres.moments import PAUSE_SECONDS, until
from tests.postgres.works import KINDS, close

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.postgres.own_server import Server

MOST_KILLS = 3


def span(kind: str, server: Server) -> float:
    """Return for how many seconds a run of this kind is at work when nobody kills it."""
    with KINDS[kind](server) as work:
        running = work.start()
        until(work.begun)
        begun = time.monotonic()
        running.process.communicate(timeout=120)
        seconds = time.monotonic() - begun
        work.check()
        return seconds


@dataclasses.dataclass(slots=True)
class Round:
    """What came of one work that was killed and then run to its end.

    Args:
        freed: For each time that it was killed, the seconds until its locks were free.
        half_done: How many steps the last run found neither done nor untouched.
    """

    freed: list[float] = dataclasses.field(default_factory=list)
    half_done: int = 0


def round_of(kind: str, server: Server, seconds: float, chance: random.Random) -> Round:
    """Kill one work up to three times, run it to its end, and compare.

    Args:
        kind: One of `KINDS`.
        server: Where.
        seconds: How long it is at work; a moment is drawn from these.
        chance: Draws the moments.

    Raises:
        AssertionError: The re-run failed, or left something else than one whole run does.
    """
    found = Round()
    with KINDS[kind](server) as work:
        for _ in range(chance.randint(1, MOST_KILLS)):
            running = work.start()
            until(lambda now=running: work.begun() or now.process.poll() is not None)  # type: ignore[misc]
            time.sleep(chance.uniform(0, seconds))
            if running.process.poll() is not None:
                running.process.communicate()
                break
            work.kill(running, chance)
            found.freed.append(_seconds_until(work.free))
            close(running)
        found.half_done = work.finish()
        work.check()
    return found


def _seconds_until(holds: Callable[[], bool]) -> float:
    begun = time.monotonic()
    until(holds)
    return max(time.monotonic() - begun - PAUSE_SECONDS, 0.0)
