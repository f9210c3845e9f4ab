"""Kill migrations and restores at random moments, run each again plainly, and count what came of it.

    bench/kills.py --moments 200 --seed 1

A moment counts when what was killed was still at work. Each round has a server's database of its
own: its work is killed one to three times, then run to its end and compared with what one whole run
leaves. Red is a re-run that fails, a result that differs, or a lock that is not free after 2 s.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from pathlib import Path

# Run as a file, only its own folder would be searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.postgres.kills import round_of, span
from tests.postgres.own_server import running_server
from tests.postgres.works import KINDS

FREE_SECONDS = 2.0


def main() -> int:
    """Spread the moments over the kinds, print a line a kind, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--moments", type=int, default=200, help="how many kills, over all kinds")
    parser.add_argument("--seed", type=int, default=1, help="draws the same moments again")
    wanted = parser.parse_args()
    red = 0
    begun = time.monotonic()
    print(
        f"{'kind':<18} {'kills':>5} {'rounds':>6} {'red':>4} {'half done':>9} {'lock free, longest':>19}"
    )
    with running_server() as server:
        for number, kind in enumerate(KINDS):
            share = wanted.moments * (number + 1) // len(KINDS)
            share -= wanted.moments * number // len(KINDS)
            chance = random.Random(f"{wanted.seed} {kind}")  # noqa: S311 - moments, not secrets
            freed: list[float] = []
            rounds = failed = half_done = 0
            seconds = span(kind, server)
            while len(freed) < share:
                rounds += 1
                try:
                    found = round_of(kind, server, seconds, chance)
                    freed += found.freed
                    half_done += found.half_done
                except Exception:  # noqa: BLE001 - counted, and the rounds go on
                    failed += 1
                    traceback.print_exc()
                    if failed > share:
                        break
            longest = max(freed, default=0.0)
            red += failed + (longest > FREE_SECONDS)
            print(
                f"{kind:<18} {len(freed):>5} {rounds:>6} {failed:>4} {longest:>17.2f} s", flush=True
            )
    print(f"seed {wanted.seed}, {time.monotonic() - begun:.0f} s")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
