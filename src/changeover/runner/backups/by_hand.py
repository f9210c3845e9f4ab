"""Backups by hand: each under the lease that a deployment would hold, and journaled like one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.colour import version_of
from changeover.executors import backup as backups
from changeover.runner import by_hand
from changeover.runner.fleet import agreement, survey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from changeover.inventory import Host
    from changeover.runner.context import Context
    from changeover.runner.run import Run


def create(context: Context, *, keep: bool) -> backups.Backup:
    """Back up what is live, and prove it by a restore beside the live database."""
    states = survey.host_states(context.run().fleet, context.environment.lease_hosts)
    live = agreement.agreed(states.values(), "live", context.environment.name)
    version = version_of(live) if live else ""
    with leased(context, "backup create", live) as run:
        return backups.create(
            backups.vault_of(run.fleet),
            run.fleet.deployment,
            release=version,
            colour=live,
            schema_version=version,
            keep=keep,
        )


def found(context: Context) -> backups.Listing:
    """Return the backups that are there, and what there is beside the live database."""
    return backups.list_(backups.vault_of(context.run().fleet))


def verify(context: Context, backup: str, *, keep: bool) -> backups.Proof:
    """Prove a backup again."""
    with leased(context, "backup verify", backup) as run:
        return backups.verify(backups.vault_of(run.fleet), backup, keep=keep)


def price(context: Context, backup: str) -> backups.Price:
    """Return what going back to a backup would lose."""
    return backups.price(backups.vault_of(context.run().fleet), backup)


def restore(context: Context, backup: str) -> backups.Restored:
    """Make a backup the live database."""
    with leased(context, "backup restore", backup) as run:
        return backups.restore(backups.vault_of(run.fleet), backup)


def diff(context: Context, database: str | None, *, examples: int) -> backups.Difference:
    """Compare a database beside the live one with it; the one that was kept last by default."""
    return backups.diff(backups.vault_of(context.run().fleet), database, examples=examples)


def due(context: Context, keep: int) -> backups.Due:
    """Return what ``retain`` would remove, with the rows that would go."""
    return backups.due(backups.vault_of(context.run().fleet), keep)


def retain(context: Context, keep: int, agreed: Sequence[str]) -> backups.Pruned:
    """Remove what is older than the newest proved backups and was agreed to; return what went."""
    with leased(context, "backup retain", str(keep)) as run:
        return backups.retain(backups.vault_of(run.fleet), keep, agreed)


def open_(context: Context, backup: str, identity: Path) -> dict[str, bytes]:
    """Return the configuration in a backup, decrypted: ``<host>/<file>`` to content; secret."""
    return backups.open_attachment(backups.vault_of(context.run().fleet), backup, identity)


def leased(
    context: Context, command: str, about: str | None, *, also: Sequence[Host] = ()
) -> AbstractContextManager[Run]:
    """Give a run that holds the lease, and ``also`` that of further hosts, for work on backups."""
    name = context.environment.name
    hint = (
        "the database host finishes what it has begun; see "
        f"changeover backup list --env {name}, then run this again"
    )
    return by_hand.leased(context, command, about, hint=hint, also=also)
