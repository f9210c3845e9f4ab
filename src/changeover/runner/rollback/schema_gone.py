"""Refuse a version that cannot run on the database any more, and say what the way back costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.errors import ChangeoverError, InvalidInput
from changeover.executors import backup as backups
from changeover.runner.backups import restore_price

if TYPE_CHECKING:
    from changeover.runner.run import Run
    from changeover.runner.undo.judgement import InTheWay


class SchemaGone(InvalidInput):
    """Migrations took away what the version needs of the database, and undoing them loses rows."""


def refusal(run: Run, version: str, found: InTheWay, *, placed: bool) -> SchemaGone:
    """Return the refusal of a version: what is in the way, and the price of the way round it.

    Args:
        run: The run; its fleet asks the database host for the price.
        version: The version that was asked for.
        found: What is in the way.
        placed: Whether the version is on the hosts, so that one command does all.
    """
    name = run.environment.name
    before, price = _priced(run, found)
    backup = before or "BACKUP"
    restore = f"changeover backup restore {backup} --env {name}, then this again"
    hint = f"changeover rollback --to {version} --restore-db {backup} --env {name}"
    if before is None:
        hint = (
            "only a backup from before has its schema: "
            f"changeover backup list --env {name}, {restore}"
        )
    elif not placed:
        hint = restore
    return SchemaGone(
        f"{version} cannot run on this database any more: {', '.join(found.migrations)} ran; "
        f"the way back is restore: {found.verdict.because}",
        hint=hint,
        cause="\n".join((price, *restore_price.nearer(run.environment))),
    )


def _priced(run: Run, found: InTheWay) -> tuple[str | None, str]:
    """Return the newest proved backup from before, and what going back to it would cost."""
    vault = backups.vault_of(run.fleet)
    try:
        before = backups.newest_before(backups.list_(vault).backups, found.since)
        if before is None:
            return None, "there is no proved backup from before them"
        return before.backup, backups.price(vault, before.backup).words()
    except ChangeoverError as error:
        return None, f"what the backup would cost cannot be told: {error.message}"
