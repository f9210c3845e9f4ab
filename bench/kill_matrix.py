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
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

# Run as a file, only its own folder would be searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.main_job import seed
from tests.faults.near import NearLab
from tests.faults.stage import Stage
from tests.faults.trial import CONTROLLER, HOST, VERBS, Moment, attempt, points_of, reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.faults.trial import Conditions, Found, Way

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
    stage.sign_in()
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


@dataclass(kw_only=True)
class Tally:
    """What came of the trials of one kind.

    Args:
        moments: The numbers of the moments.
        red: How many trials were red.
        differences: In how many of them something differed.
        by_hand: How many commands one too many it took.
        sent: How many requests were sent.
        failed: How many of them failed.
        off: How many more failed while the host was off.
        lost: How many acknowledged rows were gone.
        codes: How often which exit code was seen.
    """

    moments: list[int] = field(default_factory=list)
    red: int = 0
    differences: int = 0
    by_hand: int = 0
    sent: int = 0
    failed: int = 0
    off: int = 0
    lost: int = 0
    codes: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of(cls, moment: Moment, found: Found) -> Tally:
        """Return what came of one trial."""
        return cls(
            moments=[moment.number],
            red=int(found.red),
            differences=int(bool(found.differs)),
            by_hand=found.by_hand,
            sent=found.load["sent"],
            failed=found.load["failed"],
            off=found.load["off"],
            lost=found.load["lost"],
            codes=Counter(each.code for each in (found.struck, *found.ended)),
        )

    def __add__(self, other: Tally) -> Tally:
        """Return both as one."""
        names = [each.name for each in fields(self)]
        return Tally(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def __str__(self) -> str:
        """Return it as a line."""
        codes = ", ".join(f"{code} x {times}" for code, times in sorted(self.codes.items()))
        return (
            f"{len(self.moments)} trials at {min(self.moments, default=0)} to"
            f" {max(self.moments, default=0)}: {self.red} red,"
            f" differ {self.differences}, by hand {self.by_hand}, failed {self.failed} of {self.sent},"
            f" while off {self.off}, lost {self.lost}; exits {codes}"
        )


def tell(moment: Moment, found: Found, seconds: float) -> None:
    """Print the row of one trial, and what differs."""
    ended = [f"{each.words} {each.code} in {each.seconds:.0f} s" for each in found.ended]
    codes = ", ".join(ended) or "nothing left"
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


def keep(stage: Stage, moment: Moment, found: Found) -> None:
    """Write down all of a trial."""
    path = stage.work / f"{moment.name}.json"
    told = {
        "differs": found.differs,
        "failed": list(map(str, stage.failed)),
        "off": list(map(str, stage.power.gone)),
        "said": [found.struck.said, *(each.said for each in found.ended)],
    }
    path.write_text(json.dumps(told))


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
    parser.add_argument(
        "--kept", action="store_true", help="compare with what the last run without it has kept"
    )
    parser.add_argument("--rate", type=int, default=20, help="writes a second all the while")
    asked = parser.parse_args()
    random.seed(asked.seed)
    work = ROOT / "build" / "kill-matrix" / os.environ.get("CHANGEOVER_LAB", "lab")
    work.mkdir(parents=True, exist_ok=True)
    lab = NearLab(os.environ["CHANGEOVER_LAB"])
    stage = Stage(lab=lab, app=APP, database=DATABASE, rows=ROWS, work=work)
    if asked.prepare:
        prepare(stage)
    tallies: dict[tuple[str, str], Tally] = {}
    begun = time.monotonic()
    for verb in asked.verbs.split(","):
        admit(stage, verb)
        wanted, points = known(stage, verb, asked.rate, kept=asked.kept)
        print(f"{verb}: {points['writes']} writes; of agents {points}", flush=True)
        chosen = list(moments(verb, asked.kinds.split(","), points, asked.every))
        if asked.only:
            chosen = [each for each in map(named, asked.only.split(",")) if each.verb == verb]
        for moment in chosen[: asked.most]:
            at = time.monotonic()
            found = attempt(stage, moment, wanted, asked.rate)
            tell(moment, found, time.monotonic() - at)
            keep(stage, moment, found)
            told = tallies.get((verb, moment.kind), Tally())
            tallies[verb, moment.kind] = told + Tally.of(moment, found)
    for (verb, kind), tally in tallies.items():
        print(f"{verb:<9}{kind:<18}{tally}")
    whole = sum(tallies.values(), Tally())
    print(f"{'all of them':<27}{whole}; {time.monotonic() - begun:.0f} s, seed {asked.seed}")
    return int(whole.red > 0)


def admit(stage: Stage, verb: str) -> None:
    """Get a token for disks on which 8.0.0 is live: nobody signs in there by name alone."""
    stage.token = ""
    if VERBS[verb].snapshot == "live8":
        stage.prepare("live7")
        stage.sign_in()


def known(stage: Stage, verb: str, rate: int, *, kept: bool) -> tuple[Conditions, dict[str, int]]:
    """Return the conditions to compare with and the points: of a new run, or of the one that is kept."""
    path = stage.work / f"reference-{verb}.json"
    if not kept:
        path.write_text(json.dumps(reference(stage, VERBS[verb], rate)))
    wanted, points = json.loads(path.read_text())
    return wanted, points


if __name__ == "__main__":
    sys.exit(main())
