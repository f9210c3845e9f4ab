"""What is wrong with the archive of the log, for those who ask about something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.executors import backup as backups
from changeover.executors.backup import physical
from changeover.executors.backup.archive import Warned
from changeover.remote.fleet import Fleet
from changeover.runner import endings

if TYPE_CHECKING:
    from changeover.inventory import Environment


def warned(environment: Environment, app: str) -> tuple[Warned, ...]:
    """Return what keeps moments from being recovered; nothing where no log is archived.

    That the archive cannot be asked is a warning, too: nothing that is done waits for it.
    """
    if environment.repository_host is None:
        return ()
    fleet = Fleet(
        environment=environment,
        app=app,
        deployment="status",
        owner="",
        nonce="",
        report=lambda _: None,
        any_agent=True,
    )
    try:
        return tuple(physical.archive(backups.vault_of(fleet)).warnings())
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it is what is asked for
        failure = endings.known(error)
        return (Warned(about="physical-backup", says=failure.message, command=failure.hint),)
    finally:
        fleet.close()
