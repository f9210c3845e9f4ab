"""What the ``db`` verbs tell of apps that migrate themselves."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING

from changeover.cli.db_releases import releases_with_database
from changeover.cli.desk import Desk, context_of
from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.executors.migrate import OwnRow
    from changeover.release import Release


class OwnByHand(InvalidInput):
    """An app's own migrator needs its code on a host, and a proved backup."""


def status(desk: Desk, version: str | None) -> None:
    """Show how each release's own migrator went, and which ones have not run."""
    releases, meant, known = _known(desk, version)
    for row in known.values():
        ending = "was ended" if row.exit is None else f"exit {row.exit}"
        took = f"{ending} after {row.seconds:.1f} s" if row.seconds is not None else row.how
        when = f"{row.changed_at:%Y-%m-%d %H:%M:%S}"
        undo = ", undo proved" if row.undo_proved else ""
        desk.output.data(
            {"type": "migrator", "id": f"{row.release}/migrator", **asdict(row)},
            f"{row.state:<9}       {row.release}/migrator  {when}  {took} on {row.host}{undo}",
        )
    for name in _pending(releases, meant, known):
        if name in known:
            continue
        identity = f"{name}/migrator"
        desk.output.data(
            {"type": "migrator", "id": identity, "state": "pending"},
            f"{'pending':<9}       {identity}",
        )


def plan(desk: Desk, version: str) -> int:
    """Show the command of the version's own migrator where it has not run; return how many are to run."""
    releases, meant, known = _known(desk, version)
    pending = _pending(releases, meant, known)
    for name in pending:
        migrator = releases[name].migrator
        words = migrator.command if migrator else ()
        desk.output.data(
            {"type": "migrator", "id": f"{name}/migrator", "state": "pending", "command": words},
            f"{name}/migrator  {shlex.join(words)}\n"
            "  the app's own command: what it changes is seen in a rehearsal alone",
        )
    return len(pending)


def refuse(desk: Desk, version: str) -> None:
    """Refuse to run by hand what needs a deployment.

    Raises:
        OwnByHand: The version's own migrator has not run.
    """
    releases, meant, known = _known(desk, version)
    if releases[meant].migrator and meant in _pending(releases, meant, known):
        name = desk.environment.name
        raise OwnByHand(
            f"{meant} migrates by its own command, from its code on a host and under a proved backup",
            hint=f"changeover deploy {meant} --env {name} runs it;"
            f" changeover db rehearse {meant} --env {name} tries it on a clone",
        )


def _known(
    desk: Desk, version: str | None
) -> tuple[Mapping[str, Release], str, Mapping[str, OwnRow]]:
    from changeover.executors import migrate  # noqa: PLC0415 - `--help` does without
    from changeover.runner import database  # noqa: PLC0415 - `--help` does without

    releases, meant = releases_with_database(desk, version)
    if not any(release.migrator for release in releases.values()):
        return releases, meant, {}
    with database.owner_database(desk.environment, context_of(desk).declared) as place:
        return releases, meant, migrate.own_rows(place)


def _pending(
    releases: Mapping[str, Release], version: str, known: Mapping[str, OwnRow]
) -> list[str]:
    from changeover.release import lineage  # noqa: PLC0415 - `--help` does without

    return [
        name
        for name in lineage(releases, version)
        if releases[name].migrator and (name not in known or known[name].state != "applied")
    ]
