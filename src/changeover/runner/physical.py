"""Physical backups and moments by hand, and the points that deployments name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.errors import ChangeoverError, LockHeld
from changeover.executors import backup as backups
from changeover.executors.backup import physical
from changeover.executors.backup.failures import NoArchive
from changeover.runner import backups as by_lease

if TYPE_CHECKING:
    from changeover.inventory import Host
    from changeover.runner.run import Run
    from changeover.runner.stages import Context

# PostgreSQL keeps 63 bytes of a point's name.
NAME_BYTES = 63


def back_up(context: Context, kind: str) -> physical.PhysicalBackup:
    """Take a physical backup: ``full``, or ``diff`` for what changed since the last full one."""
    host = _repository(context)
    with by_lease.leased(context, "backup create --physical", kind, also=(host,)) as run:
        return physical.back_up(backups.vault_of(run.fleet), host.name, kind)


def archive(context: Context) -> physical.Archive | None:
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


def point(context: Context, name: str) -> physical.Point:
    """Name this moment; a name that is there keeps its own."""
    _repository(context)
    with by_lease.leased(context, "backup point", name) as run:
        return physical.mark(backups.vault_of(run.fleet), name)


def mark(run: Run, version: str, occasion: str) -> str | None:
    """Name the moment before something is done to the database, where its log is archived.

    The proved backup is what the deployment relies on; a point that cannot be named is told, and
    stops nothing.

    Args:
        run: Under whose lease.
        version: What is on its way.
        occasion: What is about to be done, as a word.

    Returns:
        The name; ``None`` where there is no archive, or the point could not be named.
    """
    if run.environment.repository_host is None:
        return None
    name = f"before-{version}-{occasion}-{run.fleet.deployment}"[:NAME_BYTES]
    try:
        point = physical.mark(backups.vault_of(run.fleet), name)
    except LockHeld:
        raise
    except ChangeoverError as error:
        says = f"warning: this moment has no name in the archive: {error.message}"
        run.note({"type": "warning", "says": says})
        return None
    says = f"{name} names this moment: changeover backup restore --at {name}"
    run.note({"type": "point", "name": name, "at": point.at, "says": says})
    if point.failing:
        says = (
            "warning: the log does not arrive in the repository: changeover backup list tells more"
        )
        run.note({"type": "warning", "says": says})
    return name


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
