"""One trial: a run is struck at a moment, one command ends it, and what is there then is compared."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from changeover.plan.order import LEASE_SECONDS
from changeover.runner.lease.holder import ALIVE_SECONDS

from .condition import but_proved, but_told, differences, left_by_power, taken_back
from .controller import STRUCK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .stage import Ended, Stage

Way = Literal["forward", "back"]
# The conditions of runs that nobody struck, by name: ``before``, ``after``, ``back``.
Conditions = dict[str, list[str]]
HELD = 5
BEGUN_NOTHING = "no host holds the lease of an interrupted deployment"
CONFIRMED = "was confirmed before the deployment stopped"
CONTROLLER = {
    "controller-before": ("before", "KILL"),
    "controller-torn": ("torn", "KILL"),
    "controller-after": ("after", "KILL"),
    "interrupt": ("after", "INT"),
    "terminate": ("after", "TERM"),
    "interrupt-twice": ("after", "INT,INT"),
    "terminate-twice": ("after", "TERM,TERM"),
}
HOST = {
    "agent-before": ("kill", "before"),
    "agent-after": ("kill", "after"),
    "agent-change": ("kill", "change"),
    "cut-before": ("cut", "before"),
    "cut-after": ("cut", "after"),
    "off-before": ("off", "before"),
    "off-after": ("off", "after"),
    "off-change": ("off", "change"),
}


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A command that is struck.

    Args:
        words: What is typed.
        snapshot: The disks that it begins with.
        forward: The command that ends what was begun.
        back: The command that takes it back; ``None`` where nothing does.
        undo: What takes it back once it is done, to compare with; ``None`` where nothing does.
        struck: The command and the write of its journal at which it is killed first, where ``words``
            goes on with what that left.
    """

    words: tuple[str, ...]
    snapshot: str
    forward: tuple[str, ...]
    back: tuple[str, ...] | None = None
    undo: tuple[str, ...] | None = None
    struck: tuple[tuple[str, ...], int] | None = None


VERBS = {
    "deploy": Verb(
        words=("deploy", "8.0.0", "--yes"),
        snapshot="live7",
        forward=("resume", "--force"),
        back=("abort", "--force"),
        undo=("rollback",),
    ),
    "resume": Verb(
        words=("resume", "--force"),
        snapshot="live7",
        forward=("resume", "--force"),
        back=("abort", "--force"),
        undo=("rollback",),
        struck=(("deploy", "8.0.0", "--yes"), 39),
    ),
    "abort": Verb(
        words=("abort", "--force"),
        snapshot="live7",
        forward=("abort", "--force"),
        struck=(("deploy", "8.0.0", "--yes"), 43),
    ),
    "rollback": Verb(
        words=("rollback", "--to", "7.0.0"),
        snapshot="live8",
        forward=("rollback", "--to", "7.0.0"),
    ),
    "finalize": Verb(
        words=("finalize", "--early", "it is tried", "--yes"),
        snapshot="live8",
        forward=("finalize", "--early", "it is tried", "--yes"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When a run is struck, with what, and how it is ended.

    Args:
        verb: One of `VERBS`.
        kind: One of `CONTROLLER` or `HOST`.
        number: At which write of a journal, or at which change of a host.
        way: Whether it is ended forward or taken back.
        root: From which controller.
    """

    verb: str
    kind: str
    number: int
    way: Way
    root: str

    @property
    def name(self) -> str:
        """Return what it is called in a row."""
        return f"{self.verb}:{self.kind}:{self.number}:{self.way}:{self.root}"


@dataclass(kw_only=True)
class Found:
    """What came of a trial.

    Args:
        struck: How the run ended that was struck.
        ended: How each command ended that followed; more than one is work by hand.
        differs: What is not as it should be.
        load: What the load client saw.
    """

    struck: Ended
    ended: list[Ended]
    differs: list[str]
    load: Mapping[str, int]
    by_hand: int = 0

    @property
    def red(self) -> bool:
        """Tell whether anything is not as it should be."""
        return bool(self.differs or self.by_hand or self.load["failed"] or self.load["lost"])


def reference(stage: Stage, verb: Verb, rate: int) -> tuple[Conditions, dict[str, int]]:
    """Run what nobody strikes; return the conditions, and how many points there are by kind."""
    stage.prepare(verb.snapshot)
    found = {"before": stage.condition()}
    with stage.load(rate):
        begin(stage, verb)
        stage.arm("kill", "before", 0)
        ended = stage.run(*verb.words)
        assert ended.code == 0, ended.message
        points = stage.disarm()
        found["after"] = stage.condition()
        points["writes"] = sum("n" in event for event in ended.events)
        if verb.undo:
            back = stage.run(*verb.undo)
            assert back.code == 0, back.message
            found["back"] = stage.condition()
    return found, points


def points_of(kind: str, points: Mapping[str, int]) -> int:
    """Return how many moments of a kind a run has."""
    return points["writes"] if kind in CONTROLLER else points[HOST[kind][1]]


def begin(stage: Stage, verb: Verb) -> None:
    """Do what a verb goes on with: a run before it that is killed."""
    if verb.struck:
        words, number = verb.struck
        stage.run(*words, strike=("after", str(number), "KILL"))


def attempt(
    stage: Stage, moment: Moment, wanted: Conditions, rate: int, *, snapshot: str | None = None
) -> Found:
    """Strike a run at a moment, end it, and compare.

    Args:
        stage: The lab.
        moment: The moment.
        wanted: What is to be there at the end.
        rate: Writes a second all the while.
        snapshot: The disks to begin with, where they are not called as the verb's.
    """
    verb = VERBS[moment.verb]
    stage.prepare(snapshot or verb.snapshot)
    with stage.load(rate) as load:
        begin(stage, verb)
        struck, met = strike(stage, moment, verb.words)
        ended, by_hand, target = end(stage, moment, verb, struck)
        there = stage.condition()
        more = len(ended)
        last = ended[-1] if ended else struck
        off = moment.kind.startswith("off")
        differs = min(
            (_differs(wanted, name, there, more, last.said if off else None) for name in target),
            key=len,
        )
        if not met:
            differs.append("+ a run that was not struck")
    if load.get("ended"):
        differs.append("+ a load that ended by itself: nobody knows what users saw then")
    return Found(struck=struck, ended=ended, differs=differs, load=load, by_hand=by_hand)


def strike(stage: Stage, moment: Moment, words: Sequence[str]) -> tuple[Ended, bool]:
    """Run a command that is struck at the moment; return how it ended, and whether it was struck.

    The fault is gone afterwards.
    """
    if moment.kind in CONTROLLER:
        when, signals = CONTROLLER[moment.kind]
        struck = stage.run(*words, strike=(when, str(moment.number), signals))
        return struck, STRUCK in struck.said
    what, at = HOST[moment.kind]
    stage.arm(what, at, moment.number)
    struck = stage.run(*words)
    passed = stage.disarm()[at]
    # What has counted goes with the power.
    return struck, bool(stage.power.gone) if what == "off" else passed >= moment.number


def end(
    stage: Stage, moment: Moment, verb: Verb, struck: Ended
) -> tuple[list[Ended], int, tuple[str, ...]]:
    """End what was begun; return how, how much of it was by hand, and what may be there then.

    Args:
        stage: The lab.
        moment: When the run was struck, how it is to be ended, and from which controller.
        verb: What was struck.
        struck: How that ended.
    """
    # What nothing takes back is ended by the same command, unless it was done.
    codes = {0, 1, 3} if verb.back else {0}
    whole = struck.code in codes and "changeover abort" not in struck.said
    if moment.kind in HOST and whole:
        return [], 0, {0: ("after",), 1: ("inert",), 3: ("inert",)}[struck.code]
    words = verb.forward if moment.way == "forward" or verb.back is None else verb.back
    ended = [stage.run(*words, root=moment.root)]
    if ended[-1].code == HELD and verb.back is None and moment.root != "first":
        # As told: it is gone on with at once on its own machine alone.
        time.sleep(LEASE_SECONDS)
        ended.append(stage.run(*words, root=moment.root))
    last = ended[-1]
    if last.code == 2 and BEGUN_NOTHING in last.said:
        return ended, 0, ("before", "after")
    if last.code == 2 and CONFIRMED in last.said:
        if moment.root != "first":
            # Only the controller that began it knows that its process is gone; others wait, as told.
            time.sleep(ALIVE_SECONDS)
        ended.append(stage.run("rollback", root=moment.root))
        return ended, int(ended[-1].code != 0), ("back",)
    wanted = "after" if words == verb.forward else "before"
    return ended, int(last.code != 0), (wanted,)


def _differs(
    wanted: Conditions, name: str, found: Sequence[str], more: int, said: str | None
) -> list[str]:
    """Return what differs from a condition; where a host lost its power, beyond what went with it."""
    if name in {"before", "inert"}:
        back = taken_back(wanted["before"], wanted["after"], found, inert=name == "inert")
        return back if said is None else but_told(back, said)
    lines = but_proved(differences(wanted[name], found), more)
    if said is None or name != "after":
        return lines
    return left_by_power(lines, wanted["after"], said)
