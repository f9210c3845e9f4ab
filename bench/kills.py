"""Kill migrations and restores at random moments, run each again plainly, and count what came of it.

    bench/kills.py --moments 200 --seed 1

A moment counts when what was killed was still at work. Each round has a server's database of its
own: its work is killed one to three times, then run to its end and compared with what one whole run
leaves. A restore is run again by another deployment, after users wrote. Red is a re-run that fails, a
result that differs, or a lock that is not free after 2 s.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

# Run as a file, only its own folder would be searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.postgres.kills import round_of, span
from tests.postgres.own_server import running_server
from tests.postgres.works import KINDS

if TYPE_CHECKING:
    from tests.postgres.own_server import Server

FREE_SECONDS = 2.0


@dataclasses.dataclass(slots=True)
class Tally:
    """What came of one kind's moments.

    Args:
        kills: How often it was killed while at work.
        rounds: On how many databases.
        failed: In how many of them the re-run failed or left something else.
        half_done: How many steps re-runs found neither done nor untouched.
        longest: The longest that a lock outlived a kill, in seconds.
    """

    kills: int = 0
    rounds: int = 0
    failed: int = 0
    half_done: int = 0
    longest: float = 0.0

    @property
    def red(self) -> bool:
        """Tell whether anything is not as it should be."""
        return self.failed > 0 or self.longest > FREE_SECONDS


def tally(kind: str, server: Server, kills: int, chance: random.Random) -> Tally:
    """Kill works of one kind so often, and count; a round that fails is shown, and the next begins."""
    counted = Tally()
    seconds = span(kind, server)
    while counted.kills < kills and counted.failed <= kills:
        counted.rounds += 1
        try:
            found = round_of(kind, server, seconds, chance)
        except Exception:  # noqa: BLE001 - counted, and the rounds go on
            counted.failed += 1
            traceback.print_exc()
        else:
            counted.kills += len(found.freed)
            counted.half_done += found.half_done
            counted.longest = max(counted.longest, *found.freed, 0.0)
    return counted


def main() -> int:
    """Spread the moments over the kinds, print a line a kind, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--moments", type=int, default=200, help="how many kills, over all kinds")
    parser.add_argument("--kind", choices=list(KINDS), action="append", help="only this one")
    parser.add_argument("--seed", type=int, default=1, help="draws the same moments again")
    wanted = parser.parse_args()
    kinds = wanted.kind or list(KINDS)
    red = False
    begun = time.monotonic()
    print(f"{'kind':<18} {'kills':>5} {'rounds':>6} {'red':>4} {'half done':>9} {'lock free':>9}")
    with running_server() as server:
        for number, kind in enumerate(kinds):
            share = wanted.moments * (number + 1) // len(kinds)
            share -= wanted.moments * number // len(kinds)
            chance = random.Random(f"{wanted.seed} {kind}")  # noqa: S311 - moments, not secrets
            found = tally(kind, server, share, chance)
            red |= found.red
            print(
                f"{kind:<18} {found.kills:>5} {found.rounds:>6} {found.failed:>4}"
                f" {found.half_done:>9} {found.longest:>7.2f} s",
                flush=True,
            )
    print(f"seed {wanted.seed}, {time.monotonic() - begun:.0f} s")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
