"""Physical backups, moments and points by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.executors import backup as backups
from changeover.executors.backup import physical
from changeover.executors.backup.failures import NoArchive
from changeover.runner.backups import by_hand as by_lease

if TYPE_CHECKING:
    from changeover.executors.backup.archive import Archive, PhysicalBackup, Point
    from changeover.inventory import Host
    from changeover.runner.context import Context


def back_up(context: Context, kind: str) -> PhysicalBackup:
    """Take a physical backup: ``full``, or ``diff`` for what changed since the last full one."""
    host = _repository(context)
    with by_lease.leased(context, "backup create --physical", kind, also=(host,)) as run:
        return physical.back_up(backups.vault_of(run.fleet), host.name, kind)


def archive(context: Context) -> Archive | None:
    """Return what can be recovered; ``None`` where the environment keeps no physical backups."""
    if context.environment.repository_host is None:
        return None
    return physical.archive(backups.vault_of(context.run().fleet))


def recover(context: Context, wanted: str) -> physical.Recovered:
    """Make the app's database as it was at a moment, or at a named point, into a proved backup."""
    _repository(context)
    with by_lease.leased(context, "backup restore --at", wanted) as run:
        return physical.recover(backups.vault_of(run.fleet), wanted, run.fleet.deployment)


def drill(context: Context, wanted: str) -> physical.Drill:
    """Recover on a scratch cluster, read every row there, and remove it."""
    _repository(context)
    with by_lease.leased(context, "backup drill", wanted or None) as run:
        return physical.drill(backups.vault_of(run.fleet), wanted)


def point(context: Context, name: str) -> Point:
    """Name this moment; a name that is there keeps its own."""
    _repository(context)
    with by_lease.leased(context, "backup point", name) as run:
        return physical.mark(backups.vault_of(run.fleet), name)


def _repository(context: Context) -> Host:
    host = context.environment.repository_host
    if host is None:
        name = context.environment.name
        raise NoArchive(
            f"environment {name} keeps no physical backups: it has no host in group backup",
            hint="add one, and changeover_repository.passphrase to the vault, then: "
            f"changeover provision --env {name}",
        )
    return host
