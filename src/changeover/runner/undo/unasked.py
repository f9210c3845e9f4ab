"""What is undone in the database where a deployment goes back by itself: what was proved, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from changeover.errors import ChangeoverError, CheckRed, LockHeld
from changeover.executors import lease
from changeover.release import load_releases
from changeover.runner import database, endings
from changeover.runner.deployment import safety
from changeover.runner.rollback.schema_gone import refusal
from changeover.runner.undo import judgement as undoing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.runner.run import Run
    from changeover.runner.undo.judgement import InTheWay


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What became of the migrations that a version cannot live with.

    Args:
        undone: The ids of those that were undone; empty where none stood in the way.
        error: Why the version may not be able to use the database; ``None`` where it is.
        judged: Whether the ledger was read.
        otherwise: What became of the database in place of that, in words.
    """

    undone: tuple[str, ...] = ()
    error: ChangeoverError | None = None
    judged: bool = True
    otherwise: str = ""

    @property
    def words(self) -> str:
        """Say what was undone, as the end of a sentence; empty where nothing was."""
        if not self.undone:
            return self.otherwise
        return f"; undone, as it cannot live with it, and nothing is lost: {', '.join(self.undone)}"


def mend(
    run: Run, version: str, left: str, *, lost: Mapping[str, ChangeoverError] | None = None
) -> Mended:
    """Undo what a version cannot live with of what a later one has left, where that is proved.

    Args:
        run: The run; it holds the lease.
        version: The version that users are on, or go back to.
        left: The version that is left.
        lost: The hosts that are known not to answer, and why.

    Raises:
        LeaseTaken: The lease is another's: what stands is theirs to judge.
    """
    environment, app = run.environment, run.app
    host = database.database_host(environment, app)
    if host is None:
        return Mended()
    if lost and host.name in lost:
        return _unread(run, version, lost[host.name])
    try:
        releases = load_releases(run.root, app.app)
        found = undoing.in_the_way(environment, app, releases, version, left)
    except Exception as error:  # noqa: BLE001 - users go back, whatever keeps the ledger from answering
        return _unread(run, version, endings.known(error))
    if found is None:
        return Mended()
    if found.verdict.kind != "revert":
        return Mended(error=refusal(run, version, found, placed=True))
    return _undo(run, version, host.name, found)


def _undo(run: Run, version: str, host: str, found: InTheWay) -> Mended:
    step = found.step(host)
    names = ", ".join(found.migrations)
    says = f"the way back is revert: {names} is undone; what was written since stays"
    run.note({"type": "way-back", "kind": "revert", "migrations": found.migrations, "says": says})
    try:
        run.step(step, partial(safety.undo, run, step))
    except lease.LeaseTaken:
        raise
    except Exception as error:
        failure = endings.known(error)
        if refused := lease.taken(run.fleet, failure):
            raise refused from error
        if isinstance(failure, LockHeld):
            raise lease.LeaseTaken(failure.message, hint=failure.hint, host=failure.host) from error
        return Mended(error=_not_undone(run, version, found, failure))
    return Mended(undone=found.migrations)


def _not_undone(run: Run, version: str, found: InTheWay, error: ChangeoverError) -> ChangeoverError:
    gone = refusal(run, version, found, placed=True)
    gone.message = (
        f"{version} cannot run on this database as it is: {', '.join(found.migrations)} ran, and "
        f"could not be undone: {error.message}"
    )
    again = f"changeover rollback --to {version} --env {run.environment.name} tries it again"
    gone.hint = f"{again}, and without it: {gone.hint}"
    gone.cause = "\n".join(each for each in (error.cause, gone.cause) if each)
    return gone


def _unread(run: Run, version: str, error: ChangeoverError) -> Mended:
    unread = CheckRed(
        f"not known whether {version} can use the database as it is: {error.message}",
        hint=f"make the database answer, then changeover rollback --to {version} --env"
        f" {run.environment.name} undoes what stands in the way",
        host=error.host,
        cause=error.cause,
    )
    run.note({"type": "warning", "says": f"warning: {unread.message}"})
    return Mended(error=unread, judged=False)
