"""Strike runs at every moment of theirs, end each with one command, and compare what is there then.

    bench/kill_matrix.py --prepare
    bench/kill_matrix.py --kinds controller-after,cut-before --every 5 --seed 1

It works on the lab that ``CHANGEOVER_LAB`` names, which is up; ``--prepare`` provisions it, makes 7.0.0
live with 10,000 users and keeps the disks. A moment is a write of the controller's journal, a record of
an agent's journal, or a change of files that an agent makes. Each is ended by ``resume`` and by
``abort`` in turn, from the controller that began it and from one that has no journal of it. Red is a
condition that is not that of a run nobody struck, a command that does not end it, a request that
failed, or an acknowledged row that is gone. Nothing but what `tests/faults/condition.py` lists may differ.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

# Run as a file, only its own folder would be searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.main_job import seed
from tests.faults.stage import Stage
from tests.faults.trial import CONTROLLER, HOST, VERBS, Moment, attempt, points_of, reference
from tests.lab.conftest import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.faults.trial import Found, Way

ROOT = Path(__file__).resolve().parents[1]
APP, DATABASE = "nox-api", "nox_api"
# The load client's own user is another one each time.
ROWS = (
    """SELECT /* all */ count(*), md5(string_agg(t::text, ',' ORDER BY id)) FROM users t
    WHERE email LIKE 'user%@seed.test'""",
    """SELECT count(*), md5(string_agg(concat(id, email, created_at), ',' ORDER BY id)) FROM users
    WHERE email LIKE 'user%@seed.test'""",
)
WAYS: tuple[Way, ...] = ("forward", "back")
CONTROLLERS = ("first", "second")
SHOWN = 12


def prepare(stage: Stage) -> None:
    """Make the disks that trials begin with."""
    inventory = str(stage.lab.identity.inventory)
    stage.lab.changeover("provision", "--env", inventory, seconds=1500)
    stage.lab.changeover("deploy", "7.0.0", "--yes", "--env", inventory)
    seed(inventory)
    stage.lab.snapshot("live7")
    stage.lab.changeover("deploy", "8.0.0", "--yes", "--env", inventory)
    stage.lab.snapshot("live8")


def moments(
    verb: str, kinds: Sequence[str], points: dict[str, int], every: int
) -> Iterator[Moment]:
    """Give the moments of a verb, ways and controllers in turn."""
    turn = 0
    for kind in kinds:
        most = points_of(kind, points)
        for number in range(1 + random.randrange(every), most + 1, every):  # noqa: S311 - moments, no secrets
            yield Moment(
                verb=verb,
                kind=kind,
                number=number,
                way=WAYS[turn % 2],
                root=CONTROLLERS[turn // 2 % 2],
            )
            turn += 1


def named(text: str) -> Moment:
    """Return the moment of a row's name."""
    verb, kind, number, way, root = text.split(":")
    ways: dict[str, Way] = {each: each for each in WAYS}
    return Moment(verb=verb, kind=kind, number=int(number), way=ways[way], root=root)


def tell(moment: Moment, found: Found, seconds: float) -> None:
    """Print the row of one trial, and what differs."""
    codes = ", ".join(f"{each.words} {each.code}" for each in found.ended) or "nothing left"
    load = found.load
    print(
        f"{moment.name:<44} at {found.struck.step:<9} exit {found.struck.code:>4}; {codes};"
        f" differs {len(found.differs)}, by hand {found.by_hand},"
        f" failed {load['failed']} of {load['sent']}, while off {load['off']}, lost {load['lost']};"
        f" {seconds:.0f} s",
        flush=True,
    )
    for each in found.ended[-1:] if found.by_hand else ():
        print(f"    {each.message}")
    for line in found.differs[:SHOWN]:
        print(f"    {line[:240]}", flush=True)


def keep(work: Path, moment: Moment, found: Found) -> None:
    """Write down all of a red trial."""
    path = work / f"{moment.name}.json"
    said = [found.struck.said, *(each.said for each in found.ended)]
    path.write_text(json.dumps({"differs": found.differs, "said": said}))


def main() -> int:
    """Run the moments that were asked for, print a row each and the counts; 1 when any is red."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prepare", action="store_true", help="make the disks to begin with")
    parser.add_argument("--verbs", default="deploy", help=", ".join(VERBS))
    parser.add_argument("--kinds", default=",".join([*CONTROLLER, *HOST]), help="all unless named")
    parser.add_argument("--every", type=int, default=1, help="only every so many points")
    parser.add_argument(
        "--only", help="these moments, as rows name them: deploy:cut-after:7:back:first,..."
    )
    parser.add_argument("--most", type=int, help="stop after so many moments")
    parser.add_argument("--seed", type=int, default=1, help="draws the same moments again")
    parser.add_argument("--rate", type=int, default=20, help="writes a second all the while")
    asked = parser.parse_args()
    random.seed(asked.seed)
    work = ROOT / "build" / "kill-matrix" / os.environ.get("CHANGEOVER_LAB", "lab")
    work.mkdir(parents=True, exist_ok=True)
    lab = Lab(os.environ["CHANGEOVER_LAB"])
    stage = Stage(lab=lab, app=APP, database=DATABASE, rows=ROWS, work=work)
    if asked.prepare:
        prepare(stage)
    counts: Counter[str] = Counter()
    begun = time.monotonic()
    for verb in asked.verbs.split(","):
        wanted, points = reference(stage, VERBS[verb], asked.rate)
        print(f"{verb}: {points['writes']} writes; of agents {points}", flush=True)
        chosen = list(moments(verb, asked.kinds.split(","), points, asked.every))
        if asked.only:
            chosen = [each for each in map(named, asked.only.split(",")) if each.verb == verb]
        for moment in chosen[: asked.most]:
            at = time.monotonic()
            found = attempt(stage, moment, wanted, asked.rate)
            tell(moment, found, time.monotonic() - at)
            keep(work, moment, found)
            count(counts, found)
    print(f"{dict(counts)} in {time.monotonic() - begun:.0f} s, seed {asked.seed}")
    return int(counts["red"] > 0)


def count(counts: Counter[str], found: Found) -> None:
    """Add a trial to the counts."""
    counts["moments"] += 1
    counts["red"] += found.red
    counts["differences"] += bool(found.differs)
    counts["by hand"] += found.by_hand
    counts["failed requests"] += found.load["failed"]
    counts["failed while off"] += found.load["off"]
    counts["lost rows"] += found.load["lost"]
    for each in (found.struck, *found.ended):
        counts[f"exit {each.code}"] += 1


if __name__ == "__main__":
    sys.exit(main())
