"""The app's own migrator: the command of a signed bundle, run once at a time, followed to its end.

The unit runs on without whoever began it. What was begun is written down before, how it ended after;
so a later request of the same deployment takes over what still runs, or what has ended well.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from changeover.agent.colour import manifest
from changeover.agent.colour.masking import Masked
from changeover.agent.failure import ActionError
from changeover.agent.migrator import unit
from changeover.agent.system import clock
from changeover.agent.transient import following

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from changeover.agent.call import Call, Result
    from changeover.agent.colour.manifest import Migrator
    from changeover.agent.parameters import Parameters

PURPOSES = ("live", "clone")
# Where it goes, and as whom: no secrets, and words that any output may have.
SHOWN = {"PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSSLMODE", "PGAPPNAME", "PGOPTIONS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a command: for whom, on which database.

    Args:
        what: ``command``, ``status`` or ``undo``.
        purpose: ``live``, or ``clone`` for a rehearsal.
        began: Seconds of the epoch.
    """

    deployment: str
    colour: str
    what: str
    purpose: str
    database: str
    began: float = 0.0

    def same(self, other: Run | None) -> bool:
        """Tell whether another is a run of the same thing, whenever it began."""
        mine = (self.deployment, self.colour, self.what, self.purpose, self.database)
        return other is not None and mine == (
            *(other.deployment, other.colour, other.what, other.purpose, other.database),
        )


def run(call: Call, given: Parameters) -> Result:
    """Run a command of the colour's migrator to its end, or take over the run that was begun.

    Returns:
        ``exit``, ``None`` where it was ended; ``result`` in systemd's word; ``seconds``; ``lines``
        that it printed; ``adopted``, whether an earlier request began it.

    Raises:
        ActionError: ``no-migrator``; the bundle declares no such command. ``migrator-not-started``.
    """
    given.only("colour", "what", "purpose", "env")
    values = {str(key): str(value) for key, value in given.mapping("env").items()}
    wish = Run(
        deployment=call.deployment,
        colour=given.colour(),
        what=_one_of(given, "what", manifest.MIGRATOR_COMMANDS),
        purpose=_one_of(given, "purpose", PURPOSES),
        database=values.get("PGDATABASE", ""),
    )
    migrator = _migrator(call, wish)
    masked = Masked({key: value for key, value in values.items() if key not in SHOWN})
    present = _present(call)
    if unit.of(call).present:
        taken_over = present is not None and wish.same(present)
        if not taken_over:
            call.progress(f"waiting for {_said(present)}, which runs on this host")
        done = _follow(call, present, masked, anew=False)
        if taken_over:
            return {**done, "adopted": True}
    elif present is not None:
        call.progress(f"{_said(present)} was cut off by a restart of this host")
        _path(call, "running").unlink(missing_ok=True)
    earlier = _ended_well(call, wish)
    if earlier is not None:
        return {**earlier, "adopted": True, "skipped": True}
    begun = Run(**{**asdict(wish), "began": time.time()})
    following.write(_path(call, "running"), asdict(begun))
    words, seconds = migrator.words[wish.what], migrator.deadline_seconds
    try:
        unit.begin(call, wish.colour, words, values, seconds)
    except ActionError:
        if not unit.of(call).present:
            _path(call, "running").unlink(missing_ok=True)
            unit.of(call).raw_output.unlink(missing_ok=True)
        raise
    return {**_follow(call, begun, masked, anew=True), "adopted": False}


def _one_of(given: Parameters, name: str, known: tuple[str, ...]) -> str:
    word = given.text(name)
    if word not in known:
        raise ActionError("bad-parameter", f"{name} has to be one of {', '.join(known)}")
    return word


def _migrator(call: Call, wish: Run) -> Migrator:
    found = manifest.read(call.places.release(wish.colour)).migrator
    if found is None or wish.what not in found.words:
        raise ActionError("no-migrator", f"{wish.colour} declares no migrator with {wish.what}")
    return found


def _follow(
    call: Call, begun: Run | None, masked: Callable[[str], str], *, anew: bool
) -> dict[str, Any]:
    """Take its output until it ends, write down how, and let systemd forget it."""
    if begun is None:
        following.await_end(unit.of(call))
        return {}
    kept = _kept(call, begun.purpose, begun.what)
    done = following.follow(call, unit.of(call), begun.what, begun.began, kept, masked, anew=anew)
    following.write(_path(call, f"{begun.purpose}-{begun.what}"), {**asdict(begun), "done": done})
    # In this order: a unit without its record would be nobody's.
    unit.of(call).reap()
    _path(call, "running").unlink(missing_ok=True)
    return done


def _ended_well(call: Call, wish: Run) -> dict[str, Any] | None:
    """Return how this run went where the deployment did it already; a status is asked each time."""
    if wish.purpose != "live" or wish.what == "status":
        return None
    record = following.read(_path(call, f"{wish.purpose}-{wish.what}"))
    if record is None:
        return None
    done: dict[str, Any] = record.pop("done")
    if not wish.same(Run(**record)):
        return None
    if done["exit"] == 0:
        return done
    ending = done["result"] if done["exit"] is None else f"exit code {done['exit']}"
    call.progress(f"an earlier run ended after {done['seconds']:.0f} s: {ending}")
    return None


def _present(call: Call) -> Run | None:
    record = following.read(_path(call, "running"))
    return Run(**record) if record else None


def _said(found: Run | None) -> str:
    if found is None:
        return "a migrator"
    return f"{found.what} of {found.colour} on {found.database}, of deployment {found.deployment}"


def _directory(call: Call) -> Path:
    return call.places.state / "migrator"


def _path(call: Call, kind: str) -> Path:
    return _directory(call) / f"{kind}.json"


def _kept(call: Call, purpose: str, what: str) -> Path:
    return _directory(call) / f"{purpose}-{what}.log"


def output(call: Call, given: Parameters) -> Result:
    """Return what the latest run of a command printed, masked: its beginning and its end."""
    given.only("what", "purpose")
    what = _one_of(given, "what", manifest.MIGRATOR_COMMANDS)
    purpose = _one_of(given, "purpose", PURPOSES)
    try:
        text = _kept(call, purpose, what).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        text = ""
    return {"output": text, "at": clock.stamp()}


def end(call: Call, given: Parameters) -> Result:
    """End a migrator that runs; tell whose it was."""
    given.only()
    present = _present(call)
    ended = unit.of(call).end()
    return {"ended": ended, "was": _said(present) if ended else None, "skipped": not ended}


def left(call: Call, given: Parameters) -> Result:
    """Tell what an earlier run left here.

    Returns:
        ``runs``, whether a migrator still does; ``was``, which one; ``undo``, the deployment of the
        latest undoing of the live database and its exit code, ``None`` where none ended here.
    """
    given.only()
    present = _present(call)
    ending = unit.of(call).ended
    undo: dict[str, Any] | None = None
    if record := following.read(_path(call, "live-undo")):
        undo = {"deployment": record["deployment"], "exit": record["done"]["exit"]}
    if present and ending and (present.purpose, present.what) == ("live", "undo"):
        there = unit.of(call).present
        undo = {"deployment": present.deployment, "exit": ending.exit} if there else undo
    return {
        "runs": ending is None,
        "was": _said(present) if ending is None else None,
        "undo": undo,
        "skipped": True,
    }


ACTIONS: dict[str, Callable[[Call, Parameters], Result]] = {
    "migrator_run": run,
    "migrator_output": output,
    "migrator_end": end,
    "migrator_left": left,
}
