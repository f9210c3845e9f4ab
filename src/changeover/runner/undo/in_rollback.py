"""What a rollback undoes in the database before users move: when, and what becomes of it where they stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover import duration, steps
from changeover.errors import ChangeoverError
from changeover.executors import migrate, operate
from changeover.release.figures import version_order
from changeover.runner import database, endings
from changeover.runner.deployment import safety

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.inventory import Host
    from changeover.runner.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack:
    """What became of migrations that were undone and that the version needs that users stay on.

    Args:
        migrations: Their ids.
        error: Why they could not be applied again; ``None`` where they were.
    """

    migrations: tuple[str, ...]
    error: ChangeoverError | None

    def words(self, live: str) -> str:
        """Say it, for users that stay on the live version."""
        names = ", ".join(self.migrations)
        if self.error is None:
            return f"users stay on {live}; of {names} what was undone was applied again"
        return (
            f"users stay on {live}, which may not be able to use the database: of {names} what was"
            f" undone could not be applied again: {self.error.message}"
        )


def needed(undo: steps.Undo | None) -> tuple[str, ...]:
    """Return the migrations of an undoing that the live version does not run without.

    Contract migrations take away what the live version needs no more, and it ran before they did; and
    it knows nothing of a later version's.
    """
    if undo is None:
        return ()
    lived = version_order(undo.version)
    split = ((each, *each.split("/")[:2]) for each in undo.migrations)
    return tuple(
        name
        for name, release, phase in split
        if phase != "contract" and version_order(release) <= lived
    )


def order(placing: Sequence[steps.AnyStep], undo: steps.Undo | None) -> list[steps.AnyStep]:
    """Return what comes before users are sent back: the old code has to find its schema when it starts.

    Where the live version does not run without what is undone, users leave it right afterwards: the
    old code is then not previewed, but started by the move itself, which leaves users where they
    are until it is well.
    """
    undoing: list[steps.AnyStep] = [] if undo is None else [undo]
    placed = [step for step in placing if isinstance(step, steps.Place)]
    proving = [] if needed(undo) else [step for step in placing if step not in placed]
    return [*placed, *undoing, *proving]


def proved(run: Run, undo: steps.Undo) -> str:
    """Say how long ago a rehearsal proved that undoing loses nothing; empty where nobody can tell."""
    try:
        with database.owner_database(run.environment, run.app) as place:
            known = migrate.recall(place)
    except ChangeoverError:
        return ""
    found = [known.undone[name].at for name in undo.migrations if name in known.undone]
    oldest = min((at for at in found if at is not None), default=None)
    if oldest is None:
        return ""
    return f", which was proved on a clone {duration.words(max((known.now - oldest).total_seconds(), 0))} ago"


def put_back(run: Run, undo: steps.Undo | None) -> PutBack | None:
    """Apply again what the live version does not run without; ``None`` where nothing of it was undone."""
    names = needed(undo)
    if undo is None or not names:
        return None
    try:
        done = safety.redo(run, undo)
    except Exception as error:  # noqa: BLE001 - whatever it is, users stay on a version that may lack its schema
        return PutBack(migrations=names, error=endings.known(error))
    run.note({"type": "note", "says": f"applied again: {', '.join(done) or 'nothing'}"})
    return PutBack(migrations=names, error=None)


def all_stayed(run: Run, hosts: Sequence[Host], live: str | None) -> bool:
    """Tell whether every app host says that it is as it was, on the version that was to be left."""
    answers = operate.states(run.fleet, hosts)
    told = [dict(replies["state"].result) for replies in answers.replies.values()]
    stayed = [(each.get("live"), each.get("pending")) == (live, None) for each in told]
    return live is not None and len(stayed) == len(run.app_hosts) and all(stayed)
