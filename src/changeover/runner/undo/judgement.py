"""What stands between an older version and the database: judged by the ledger, and what it would cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from changeover import steps, verdict
from changeover.executors import migrate
from changeover.migrations import hazards, losses, tightening
from changeover.release import lineage, load_releases, versions_between
from changeover.release.figures import version_order
from changeover.release.reading import unknown_version
from changeover.runner import database
from changeover.runner.undo import coexisting, rows

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Mapping

    from changeover.executors.migrate.ledger import MigrationRow
    from changeover.inventory import Environment
    from changeover.migrations.records import Migration, MigrationFolder
    from changeover.release import App, Release
    from changeover.runner.run import Run
    from changeover.verdict import MigrationFact, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class InTheWay:
    """Migrations that ran and that are undone before an older version runs.

    Args:
        migrations: Their ids, in the order they ran: what it cannot live with, and what came on top.
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
        live: The version that is left; the same one where users stay, and what a later version has
            left is asked for.

    Raises:
        VersionUnknown: One of both is not in this checkout.
        ChangeoverError: The database does not answer.
    """
    found = _standing(environment, app, releases, version, live)
    undone = verdict.in_the_way(found.facts)
    if not undone:
        return None
    names = tuple(fact.id for fact in undone)
    return InTheWay(
        migrations=names,
        live=live,
        since=min(row.started_at for row in found.ran if row.id in names),
        verdict=verdict.undoing(undone),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """What going back to an older version means for the database.

    Args:
        verdict: What it costs.
        since: When what a backup has to be from before of was begun; ``None`` where none is needed.
    """

    verdict: Verdict
    since: dt.datetime | None


def way_back(
    environment: Environment,
    app: App,
    releases: Mapping[str, Release],
    version: str,
    live: str,
) -> WayBack | None:
    """Judge the way back from a version to an older one by the ledger; ``None`` where it is a rename.

    Takes and raises what `in_the_way` does.
    """
    found = _standing(environment, app, releases, version, live)
    judged = verdict.judge(found.facts)
    if judged.kind == "instant":
        return None
    names = {fact.id for fact in verdict.restored(found.facts)}
    begun = [row.started_at for row in found.ran if row.id in names]
    return WayBack(verdict=judged, since=min(begun, default=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """What the ledger says ran, and what a verdict has to know of it, in the same order."""

    ran: tuple[MigrationRow, ...] = ()
    facts: tuple[MigrationFact, ...] = ()


def _standing(
    environment: Environment, app: App, releases: Mapping[str, Release], version: str, live: str
) -> _Standing:
    if database.database_host(environment, app) is None:
        return _Standing()
    for each in (version, live):
        if each not in releases:
            raise unknown_version(app.app, each, releases)
    between = later(releases, live, version) | _newer(releases, version)
    if not any(releases[each].migrations.is_dir() for each in between):
        return _Standing()
    with database.owner_database(environment, app) as place:
        ran, known = migrate.standing(place), migrate.recall(place)
        # A release that never ran is not read: what is wrong in its files keeps nobody from going back.
        more = between.intersection(row.release for row in ran)
        names = dict.fromkeys((*lineage(releases, live), *sorted(more, key=version_order)))
        folders = database.folders_of(releases, names)
        facts = rows.asked(place, ran, stood(ran, folders, known, between), folders)
    return _Standing(ran=ran, facts=facts)


def _newer(releases: Mapping[str, Release], version: str) -> frozenset[str]:
    """Return the later versions that a version did not grow from: one that went back may have left some."""
    kept = lineage(releases, version)
    later_ones = (each for each in releases if version_order(each) > version_order(version))
    return frozenset(later_ones) - frozenset(kept)


def later(releases: Mapping[str, Release], version: str, before: str | None) -> frozenset[str]:
    """Return the versions whose migrations stand between a version and one before it."""
    return frozenset(versions_between(releases, version, before))


def stood(
    ran: Iterable[MigrationRow],
    folders: Collection[MigrationFolder],
    known: migrate.Rehearsals,
    between: Collection[str],
) -> list[MigrationFact]:
    """Return what a verdict has to know of migrations that ran, in the order they were begun.

    Args:
        ran: The ledger's rows.
        folders: The migrations as they are written.
        known: What rehearsals have left.
        between: The versions that the one to go back to knows nothing of.
    """
    facts = {fact.id: fact for fact in of(folders, known)}
    return [_for(facts.get(row.id) or _lost(row), row.release, between) for row in ran]


def _for(fact: MigrationFact, release: str, between: Collection[str]) -> MigrationFact:
    """Return a fact for the version to go back to.

    What was tried beside a release is the version right before it: one further back runs something else.
    """
    eldest = min(between, key=version_order, default=release)
    lived_with = release not in between
    if release != eldest:
        return replace(fact, lived_with=lived_with, coexists="", untried=False)
    return replace(fact, lived_with=lived_with)


def _lost(row: MigrationRow) -> MigrationFact:
    """Return what is known of a migration whose file is gone."""
    return verdict.MigrationFact(id=row.id, phase=row.phase, reversible=False)


def of(folders: Collection[MigrationFolder], known: migrate.Rehearsals) -> list[MigrationFact]:
    """Return what a verdict has to know of each migration of these folders."""
    shown = coexisting.shown(folders, known)
    return [
        replace(
            _fact(migration, breaking, takes, known),
            coexists=shown.get(migration.id, ""),
            untried=shown.get(migration.id) == "",
        )
        for folder in folders
        for breaking in [hazards.breaking(folder.migrations)]
        for takes in [losses.forward(folder.migrations)]
        for migration in folder.migrations
    ]


def facts(
    migrations: Iterable[Migration], folders: Collection[MigrationFolder], known: migrate.Rehearsals
) -> list[MigrationFact]:
    """Return what a verdict has to know of these migrations of the folders."""
    releases = {each.id: each.release for each in migrations}
    between = set(releases.values())
    return [
        _for(each, releases[each.id], between) for each in of(folders, known) if each.id in releases
    ]


def ahead(
    ran: Iterable[MigrationRow],
    migrations: Collection[Migration],
    folders: Collection[MigrationFolder],
    known: migrate.Rehearsals,
    between: Collection[str],
) -> tuple[MigrationFact, ...]:
    """Return what a way back meets once these migrations have run: what stands, and them.

    Takes what `stood` does, and the migrations in the order of their running.
    """
    names = {each.id for each in migrations}
    facts = {fact.id: fact for fact in of(folders, known)}
    standing = [row for row in ran if row.id not in names]
    return (
        *stood(standing, folders, known, between),
        *(_for(facts[each.id], each.release, between) for each in migrations),
    )


def _fact(
    migration: Migration,
    breaking: frozenset[str],
    takes: Mapping[str, str],
    known: migrate.Rehearsals,
) -> MigrationFact:
    """Return what a verdict has to know of a migration.

    Args:
        migration: The migration.
        breaking: The ids of those that the old version cannot live with, contract aside.
        takes: What each takes away or overwrites, contract aside.
        known: What rehearsals have left.
    """
    found = known.undo(migration.id, migration.undo_digest)
    demands = tightening.of(migration.revert)
    against = _against(migration, demands)
    return verdict.MigrationFact(
        id=migration.id,
        phase=str(migration.phase),
        reversible=bool(migration.revert),
        breaks=migration.id in breaking,
        takes=takes.get(migration.id, ""),
        lossless=False if against else (found.lossless if found else None),
        because=against or (found.because if found else ""),
        holds=tuple(each.what for each in demands),
    )


def _against(migration: Migration, demands: Iterable[tightening.Demand]) -> str:
    """Say what the text of a revert tells against running it on rows that were written since."""
    if taken := losses.of(migration.revert):
        return f"its revert has {taken}: rows written since may go with it"
    unasked = [each.what for each in demands if not each.query]
    if not unasked:
        return ""
    return f"its revert has {', '.join(unasked)}, and whether rows written since break that cannot be asked"


def judge(run: Run, version: str, between: Collection[str]) -> Verdict:
    """Judge the way back after migrations ran, by what stands and what their rehearsal proved.

    Args:
        run: The run.
        version: The version whose schema the database has.
        between: The versions that the one to go back to knows nothing of.
    """
    with database.owner_database(run.environment, run.app) as place:
        ran, known = migrate.standing(place), migrate.recall(place)
    folders = database.migration_folders(load_releases(run.root, run.app.app), version)
    return verdict.judge(stood(ran, folders, known, between))
