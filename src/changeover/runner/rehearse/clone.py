"""A clone of the run's own backup, for as long as something is tried on it."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.errors import ChangeoverError, CheckRed
from changeover.executors import backup as backups
from changeover.executors.backup import rehearsal as clones
from changeover.runner import database

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from changeover.database import Database
    from changeover.executors.backup import Vault
    from changeover.executors.backup.rehearsal import Clone, Look
    from changeover.runner.run import Run


class UndoLosesRows(CheckRed):
    """Undoing takes away rows or values that are there now."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cloned:
    """A clone while it is there.

    Args:
        vault: The backups.
        made: The clone.
        first: What it held when it was made.
        place: How the owner enters it.
    """

    vault: Vault
    made: Clone
    first: Look
    place: Database

    def look(self) -> Look:
        """Return what it holds now."""
        return clones.look(self.vault, self.made)


@contextlib.contextmanager
def cloned(run: Run) -> Iterator[Cloned]:
    """Give a clone of the run's backup; it is dropped whatever happens.

    Raises:
        ChangeoverError: It cannot be made, as `executors.backup.rehearsal.clone` says.
    """
    vault = backups.vault_of(run.fleet)
    made, first = clones.clone(vault, run.fleet.deployment)
    try:
        with database.owner_database(run.environment, run.app) as live:
            place = dataclasses.replace(live, name=made.database)
            yield Cloned(vault=vault, made=made, first=first, place=place)
    except BaseException:
        _drop_after_failure(run, vault, made)
        raise
    clones.drop(vault, made)


def _drop_after_failure(run: Run, vault: Vault, made: Clone) -> None:
    """Drop the clone, and let nothing hide the failure."""
    try:
        clones.drop(vault, made)
    except ChangeoverError as error:
        says = f"warning: {made.database} was left: {error.message}"
        run.note({"type": "warning", "says": says})


def lost(first: Look, again: Look, *, without: Collection[str] = ()) -> list[str]:
    """Say what of a database is not as it was, once something was undone and done again.

    Args:
        first: What it held before.
        again: What it holds now.
        without: Tables that may differ, with their schema.
    """
    tables = [
        f"{table} ({counted(first.rows.get(table, 0), 'row')} now, {again.rows.get(table, 0)} kept)"
        for table, value in sorted(first.fingerprints.items())
        if table not in without and again.fingerprints.get(table) != value
    ]
    return tables + [f"how far {name} is" for name in again.behind(first)]
