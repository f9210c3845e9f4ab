"""Where an app's backups are, and how to reach them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.executors.backup.failures import BackupUnknown, told
from changeover.remote.failures import AgentFailed
from changeover.remote.fleet import action, on_each

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from changeover.remote.fleet import Fleet

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """The backups of one app.

    Args:
        environment: The environment's name, for the next command in errors.
        run_agent: Runs actions on a host in one session and returns the results by action id.
        database_host: The host that holds the database and the backups.
        app_hosts: The hosts whose configuration belongs into a backup.
        recipients: The age recipients it is encrypted to.
        repository: The host that keeps the physical backups, if there is one.
    """

    environment: str
    run_agent: Callable[[str, Sequence[Event]], Mapping[str, Event]] = field(repr=False)
    database_host: str
    app_hosts: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    repository: str | None = None

    def ask(self, *requests: Event) -> Mapping[str, Event]:
        """Run actions on the database host in one session; return the results by action id."""
        with told(self.environment):
            try:
                return self.run_agent(self.database_host, requests)
            except AgentFailed as error:
                if error.error == "physical-crashed" and self.repository:
                    # it says in its own words why the other one could not read it
                    self.run_agent(self.repository, [action("backup_repository")])
                raise


def vault_of(fleet: Fleet) -> Vault:
    """Return the backups of a fleet's app, reached over SSH.

    Raises:
        BackupUnknown: The environment has no database host.
    """
    environment = fleet.environment

    def run_agent(host: str, actions: Sequence[Event]) -> dict[str, Event]:
        answers = on_each(fleet, [environment.host(host)], lambda _: actions)
        answers.check()
        return {name: dict(reply.result) for name, reply in answers.replies[host].items()}

    databases = environment.hosts_in("db")
    if not databases:
        message = f"environment {environment.name} has no host in group db"
        raise BackupUnknown(message, hint=f"changeover status --env {environment.name}")
    return Vault(
        environment=environment.name,
        run_agent=run_agent,
        database_host=databases[0].name,
        app_hosts=tuple(host.name for host in environment.hosts_in("app")),
        recipients=environment.backup_recipients,
        repository=environment.repository_host.name if environment.repository_host else None,
    )
