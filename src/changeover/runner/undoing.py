"""What stands between an older version and the database: judged by the ledger, and what it would cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover import steps, verdict
from changeover.executors import migrate
from changeover.migrations import hazards, losses
from changeover.release import lineage, load_releases
from changeover.release.reading import unknown_version
from changeover.runner import database

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from changeover.executors.migrate.ledger import MigrationRow
    from changeover.inventory import Environment
    from changeover.migrations.records import Migration, MigrationFolder
    from changeover.release import App, Release
    from changeover.runner.run import Run
    from changeover.verdict import MigrationFact, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class InTheWay:
    """Migrations that ran and that an older version cannot live with.

    Args:
        migrations: Their ids, in the order they ran.
        live: The version whose schema the database has.
        since: When the first of them was begun.
        verdict: What undoing them costs: ``revert`` or ``restore``.
    """

    migrations: tuple[str, ...]
    live: str
    since: dt.datetime
    verdict: Verdict

    def step(self, host: str) -> steps.Undo:
        """Return the step that undoes them."""
        return steps.Undo(id="undo", hosts=(host,), version=self.live, migrations=self.migrations)


def in_the_way(
    environment: Environment,
    app: App,
    releases: Mapping[str, Release],
    version: str,
    live: str,
) -> InTheWay | None:
    """Return what has to be undone before a version can run, by the ledger; ``None`` for nothing.

    Args:
        environment: Where the database is.
        app: Whose it is.
        releases: Every release of the app.
        version: The version to go back to.
        live: The version that is live.

    Raises:
        VersionUnknown: One of both is not in this checkout.
        ChangeoverError: The database does not answer.
    """
    if database.database_host(environment, app) is None:
        return None
    for each in (version, live):
        if each not in releases:
            raise unknown_version(app.app, each, releases)
    # Where the live version did not grow from this one, each of its ancestors counts as later.
    later = set(lineage(releases, live)) - set(lineage(releases, version))
    folders = [each for each in database.migration_folders(releases, live) if each.release in later]
    if not folders:
        return None
    with database.owner_database(environment, app) as place:
        ran = migrate.standing(place)
        known = migrate.recall(place)
    return _judged(ran, folders, known, later, live)


def _judged(
    ran: Sequence[MigrationRow],
    folders: Sequence[MigrationFolder],
    known: migrate.Rehearsals,
    later: set[str],
    live: str,
) -> InTheWay | None:
    facts = {fact.id: fact for fact in of(folders, known)}
    lasting = [row for row in ran if row.release in later and _lasts(row, facts.get(row.id))]
    if not lasting:
        return None
    names = tuple(row.id for row in lasting)
    on_top = [row.id for row in ran if row.position > lasting[0].position and row.id not in names]
    return InTheWay(
        migrations=names,
        live=live,
        since=min(row.started_at for row in lasting),
        verdict=_buried(names[0], on_top)
        or verdict.undoing([facts.get(row.id) or _lost(row) for row in lasting]),
    )


def _lasts(row: MigrationRow, fact: MigrationFact | None) -> bool:
    return row.phase == "contract" if fact is None else fact.lasting


def _lost(row: MigrationRow) -> MigrationFact:
    """Return what is known of a migration whose file is gone."""
    return verdict.MigrationFact(id=row.id, phase=row.phase, reversible=False)


def _buried(oldest: str, on_top: Sequence[str]) -> Verdict | None:
    if not on_top:
        return None
    return verdict.Verdict(
        kind="restore",
        because=f"{', '.join(on_top)} came on top of {oldest}, and was not rehearsed without it: "
        "the way back is the backup, and rows written since are lost",
    )


def of(folders: Iterable[MigrationFolder], known: migrate.Rehearsals) -> list[MigrationFact]:
    """Return what a verdict has to know of each migration of these folders."""
    return [
        _fact(migration, breaking, known)
        for folder in folders
        for breaking in [hazards.breaking(folder.migrations)]
        for migration in folder.migrations
    ]


def facts(
    migrations: Iterable[Migration], folders: Iterable[MigrationFolder], known: migrate.Rehearsals
) -> list[MigrationFact]:
    """Return what a verdict has to know of these migrations of the folders."""
    names = {each.id for each in migrations}
    return [each for each in of(folders, known) if each.id in names]


def _fact(
    migration: Migration, breaking: frozenset[str], known: migrate.Rehearsals
) -> MigrationFact:
    """Return what a verdict has to know of a migration.

    Args:
        migration: The migration.
        breaking: The ids of those that the old version cannot live with, contract aside.
        known: What rehearsals have left.
    """
    found = known.undo(migration.id, migration.undo_digest)
    taken = losses.of(migration.revert)
    return verdict.MigrationFact(
        id=migration.id,
        phase=str(migration.phase),
        reversible=bool(migration.revert),
        breaks=migration.id in breaking,
        lossless=False if taken else (found.lossless if found else None),
        because=f"its revert has {taken}: rows written since may go with it"
        if taken
        else found.because
        if found
        else "",
    )


def judge(run: Run, version: str, names: Iterable[str]) -> Verdict:
    """Judge the way back after migrations ran, by what their rehearsal proved.

    Args:
        run: The run.
        version: The version whose schema the database has.
        names: The ids of the migrations.
    """
    ran = set(names)
    with database.owner_database(run.environment, run.app) as place:
        known = migrate.recall(place)
    folders = database.migration_folders(load_releases(run.root, run.app.app), version)
    return verdict.judge(each for each in of(folders, known) if each.id in ran)
