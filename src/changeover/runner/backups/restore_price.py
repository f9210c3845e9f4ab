"""About what a restore leaves behind, told where people decide: cheaply, and never as a failure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from changeover.errors import ChangeoverError
from changeover.estimate import Estimate
from changeover.executors import backup as backups
from changeover.remote.failures import AgentFailed
from changeover.runner import endings

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    from changeover.executors.backup import Backup, Vault
    from changeover.inventory import Environment
    from changeover.plan.situation import Situation
    from changeover.runner.run import Run

OLDER_AGENT = {"fenced", "unknown-action"}  # what one says that does not know the question


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What a backup has to be from before of, to be the way back.

    Args:
        since: When it was begun; ``None`` where the backup is known.
        backup: The backup that was made before it, where that is noted.
    """

    since: dt.datetime | None = None
    backup: str | None = None


def priced(run: Run, situation: Situation) -> Situation:
    """Return what was found before planning, with the price where a way back is a restore."""
    kinds = {found.kind for found in (situation.verdict, situation.afterwards) if found}
    if situation.verdict.kind == "refused" or "restore" not in kinds:
        return situation
    return replace(situation, price=ahead(run))


def facts(situation: Situation) -> dict[str, Any]:
    """Return what the beginning of a run tells of the price; nothing where there is none."""
    return {"price": situation.price.as_json()} if situation.price else {}


def ahead(run: Run) -> Estimate:
    """Estimate what is written in this database, by what was since the newest proved backup.

    Whatever goes wrong is told in the estimate.
    """

    def newest(vault: Vault) -> Backup | None:
        return backups.newest_taken(backups.list_(vault).backups)

    return _asked(run, newest, "there is no proved backup yet to count from")


def behind(run: Run, before: Before) -> Estimate:
    """Estimate what the backup from before something would leave behind now.

    Whatever goes wrong is told in the estimate.
    """

    def chosen(vault: Vault) -> Backup | None:
        known = backups.list_(vault).backups
        if before.since is not None:
            return backups.newest_before(known, before.since)
        named = (each for each in known if each.proof and each.backup == before.backup)
        return next(named, None)

    return _asked(run, chosen, "there is no proved backup from before its migrations")


def command(run: Run, version: str, backup: str | None, *, placed: bool) -> str:
    """Return what goes back to a version with a backup; two commands where it has to be placed again."""
    name, chosen = run.environment.name, backup or "BACKUP"
    if placed:
        return f"changeover rollback --to {version} --restore-db {chosen} --env {name}"
    return (
        f"changeover backup restore {chosen} --env {name}, "
        f"then changeover rollback --to {version} --env {name}"
    )


def nearer(environment: Environment) -> Iterator[str]:
    """Say where a moment nearer than the backup's is, where the log is archived."""
    if environment.repository_host is not None:
        name = environment.name
        yield (
            "the moment right before they ran has a name in the archive, and less is lost since: "
            f"changeover backup list --env {name}, changeover backup restore --at NAME --env {name}"
        )


def _asked(run: Run, choose: Callable[[Vault], Backup | None], missing: str) -> Estimate:
    try:
        vault = backups.vault_of(run.fleet)
        found = choose(vault)
        if found is None:
            return Estimate(unknown=missing)
        return _estimated(run, vault, found)
    except Exception as error:  # noqa: BLE001 - what is decided does not wait for its price
        return Estimate(unknown=endings.known(error).message)


def _estimated(run: Run, vault: Vault, backup: Backup) -> Estimate:
    try:
        return backups.estimate(vault, backup.backup)
    except AgentFailed as error:
        if error.error not in OLDER_AGENT:
            return _unknown(backup, error.message)
        name, host = run.environment.name, vault.database_host
        why = f"the agent of {host} is older: changeover provision --env {name} --limit {host}"
        return _unknown(backup, why)
    except ChangeoverError as error:
        return _unknown(backup, error.message)


def _unknown(backup: Backup, why: str) -> Estimate:
    return Estimate(backup=backup.backup, since=backup.finished, unknown=why)
