"""Work of the app itself: a command of a signed bundle, run once at a time, followed to its end.

It runs as the app's own user, in the environment of its colour. The unit runs on without whoever began
it; who asks for the same again follows it, and who asks for another is told whose it is.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.agent import names
from changeover.agent.colour import environment_file, manifest
from changeover.agent.colour.masking import Masked
from changeover.agent.failure import ActionError
from changeover.agent.system import clock
from changeover.agent.task import declared
from changeover.agent.transient import following
from changeover.agent.transient.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from changeover.agent.call import Call, Result
    from changeover.agent.parameters import Parameters
    from changeover.agent.task.declared import Task

LONGEST_BY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a task's command.

    Args:
        what: ``command``, ``dry_run`` or ``undo``.
        values: What it was given.
        by: Who asked for it.
        began: Seconds of the epoch.
    """

    deployment: str
    colour: str
    task: str
    what: str
    values: Mapping[str, str] = field(default_factory=dict)
    by: str = ""
    began: float = 0.0

    def same(self, other: Run | None) -> bool:
        """Tell whether another one does the same, whoever asked for it and whenever it began."""
        mine = (self.colour, self.task, self.what, self.values)
        return other is not None and mine == (other.colour, other.task, other.what, other.values)

    @property
    def said(self) -> str:
        """What it is, for whoever meets it."""
        values = "".join(f" {name}={value}" for name, value in sorted(self.values.items()))
        return (
            f"{self.what} of {self.task}{values} of {self.colour}, of deployment {self.deployment}"
        )


def run(call: Call, given: Parameters) -> Result:
    """Run a command of a colour's task to its end, or take over the run that was begun.

    Of ``follows``, an earlier deployment that began the same, the end is taken whatever it was.

    Returns:
        ``exit``, ``None`` where it was ended; ``result`` in systemd's word; ``seconds``; ``lines``
        that it printed; ``adopted``, whether an earlier request began it.

    Raises:
        ActionError: ``no-task``; the bundle declares no such command. ``bad-value``.
            ``task-runs``; another one does. ``task-not-started``.
    """
    given.only("colour", "task", "what", "values", "by", "follows")
    wish = Run(
        deployment=call.deployment,
        colour=given.colour(),
        task=given.name("task", names.TASK),
        what=_what(given),
        values=given.mapping("values"),
        by=given.text("by", "", longest=LONGEST_BY),
    )
    task = _task(call, wish)
    words = task.arguments(wish.what, wish.values)
    unit, present = Unit(call, "task"), _present(call)
    if unit.present:
        followed = _met(call, unit, wish, present)
        if followed is not None:
            return {**followed, "adopted": True}
    elif present is not None:
        call.progress(f"{present.said}, was cut off by a restart of this host")
        _path(call, "running").unlink(missing_ok=True)
    earlier = _ended(call, wish, given.text("follows", ""))
    if earlier is not None:
        return {**earlier, "adopted": True, "skipped": True}
    begun = Run(**{**asdict(wish), "began": time.time()})
    following.write(_path(call, "running"), asdict(begun))
    try:
        unit.begin(wish.colour, words, task.deadline_seconds, _properties(call, begun))
    except ActionError:
        if not unit.present:
            _path(call, "running").unlink(missing_ok=True)
            unit.raw_output.unlink(missing_ok=True)
        raise
    return {**_follow(call, unit, begun, anew=True), "adopted": False}


def _what(given: Parameters) -> str:
    word = given.text("what")
    if word not in declared.COMMANDS:
        raise ActionError("bad-parameter", f"what has to be one of {', '.join(declared.COMMANDS)}")
    return word


def _task(call: Call, wish: Run) -> Task:
    found = manifest.read(call.places.release(wish.colour)).tasks.get(wish.task)
    if found is None or wish.what not in found.words:
        raise ActionError(
            "no-task", f"the bundle of {wish.colour} has no task {wish.task} with {wish.what}"
        )
    return found


def _properties(call: Call, begun: Run) -> list[str]:
    """Return what it runs as, and what it finds in its environment."""
    own = {
        "SOCKET_DIRECTORY": str(call.places.runtime / begun.colour),
        "RELEASE_VERSION": names.version_of(begun.colour),
        "RELEASE_COLOUR": begun.colour,
        "TASK_DEPLOYMENT": begun.deployment,
        "TASK_ASKED_BY": begun.by,
    }
    # A percent sign would be a specifier of systemd's, and quotes hold what has blanks.
    said = [f'Environment="{name}={_quoted(value)}"' for name, value in own.items()]
    return [
        f"User={call.app.user}",
        f"Group={call.app.group}",
        f"EnvironmentFile={call.places.environment(begun.colour)}",
        *said,
    ]


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def _met(call: Call, unit: Unit, wish: Run, present: Run | None) -> dict[str, Any] | None:
    """Follow what runs where it is the same; see to what has ended, and refuse beside what has not.

    Raises:
        ActionError: ``task-runs``.
    """
    if present is None:
        following.await_end(unit)
        return None
    if wish.same(present):
        return _follow(call, unit, present, anew=False)
    if unit.ended is None:
        raise ActionError(
            "task-runs",
            f"{present.said}, runs on this host",
            hint="wait for its end, or ask for the same again, which follows it",
        )
    _follow(call, unit, present, anew=False)
    return None


def _follow(call: Call, unit: Unit, begun: Run, *, anew: bool) -> dict[str, Any]:
    """Take its output until it ends, write down how, and let systemd forget it."""
    name = f"{begun.task}-{begun.what}"
    masked = _masked(call, begun.colour)
    kept = _kept(call, begun.task, begun.what)
    done = following.follow(call, unit, begun.task, begun.began, kept, masked, anew=anew)
    following.write(_path(call, name), {**asdict(begun), "done": done})
    # In this order: a unit without its record would be nobody's.
    unit.reap()
    _path(call, "running").unlink(missing_ok=True)
    return done


def _masked(call: Call, colour: str) -> Callable[[str], str]:
    """Return what takes the environment's values out of a line; nothing is shown where they are not known."""
    try:
        return Masked(environment_file.read(call.places.environment(colour)))
    except (OSError, ValueError):
        return lambda _: "(withheld: the values to mask are not known)"


def _ended(call: Call, wish: Run, follows: str) -> dict[str, Any] | None:
    """Return how it went where this deployment did it already, or the one that was followed did."""
    record = following.read(_path(call, f"{wish.task}-{wish.what}"))
    if record is None:
        return None
    done: dict[str, Any] = record.pop("done")
    found = Run(**record)
    if not wish.same(found):
        return None
    if follows and found.deployment == follows:
        return done
    did = found.deployment == wish.deployment and done["exit"] == 0
    return done if did and wish.what != "dry_run" else None


def _present(call: Call) -> Run | None:
    record = following.read(_path(call, "running"))
    return Run(**record) if record else None


def _path(call: Call, name: str) -> Path:
    return call.places.state / "task" / f"{name}.json"


def _kept(call: Call, task: str, what: str) -> Path:
    return call.places.state / "task" / f"{task}-{what}.log"


def output(call: Call, given: Parameters) -> Result:
    """Return what the latest run of a command printed, masked: its beginning and its end."""
    given.only("task", "what")
    path = _kept(call, given.name("task", names.TASK), _what(given))
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        text = ""
    return {"output": text, "at": clock.stamp()}


def end(call: Call, given: Parameters) -> Result:
    """End a task that runs; tell which it was."""
    given.only()
    present = _present(call)
    ended = Unit(call, "task").end()
    return {
        "ended": ended,
        "was": present.said if present and ended else None,
        "skipped": not ended,
    }


def left(call: Call, given: Parameters) -> Result:
    """Tell what earlier runs left here.

    Returns:
        ``running``: the run whose unit is there, ``None`` where there is none; ``ended``: how the
        latest run of each command of a task ended here, with its ``exit``.
    """
    given.only()
    present = _present(call) if Unit(call, "task").present else None
    ended = []
    for path in sorted((call.places.state / "task").glob("*-*.json")):
        if record := following.read(path):
            done = record.pop("done")
            ended.append({**record, "exit": done["exit"], "result": done["result"]})
    return {"running": asdict(present) if present else None, "ended": ended, "skipped": True}


ACTIONS: dict[str, Callable[[Call, Parameters], Result]] = {
    "task_run": run,
    "task_output": output,
    "task_end": end,
    "task_left": left,
}
