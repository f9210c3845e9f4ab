"""Try on a clone what the old version runs, as the app's role: before migrations, beside them, and at the end."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from changeover import duration
from changeover.counts import counted
from changeover.errors import CheckRed
from changeover.executors import migrate
from changeover.migrations import coexist_file

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractContextManager

    from changeover.database import Database
    from changeover.executors.migrate import Did
    from changeover.migrations.records import Migration, MigrationFolder, Statement

UNTOUCHED = "the live database was not touched"


class OldVersionBarred(CheckRed):
    """What the old version runs does not work beside a migration as it did before it."""


@dataclass(slots=True, kw_only=True)
class OldVersion:
    """The old version beside migrations that are rehearsed.

    Args:
        enter: Gives the clone as the app's role sees it.
        folders: The migrations of every release on the way.
        deployment: Whose rehearsal it is.
        role: The app's role.
        did: What each coexist file came to before its migration, by the migration's id.
        tried: The migrations whose files were tried.
    """

    enter: Callable[[], AbstractContextManager[Database]]
    folders: Sequence[MigrationFolder]
    deployment: str
    role: str = ""
    did: dict[str, tuple[Did, ...]] = field(default_factory=dict)
    tried: list[Migration] = field(default_factory=list)

    def beside(
        self, migrations: Sequence[Migration], apply: Callable[[Collection[str]], None]
    ) -> None:
        """Apply migrations in their order, and run what is declared before those of a release and after each.

        Args:
            migrations: What is pending of one phase, the oldest release first.
            apply: Applies the migrations of these ids.

        Raises:
            OldVersionBarred: It fails, or does something else than before.
        """
        waiting: list[str] = []
        for _, group in itertools.groupby(migrations, key=lambda each: each.release):
            own = tuple(group)
            if waiting and any(each.coexist for each in own):
                apply(waiting)
                waiting = []
            for each in own:
                if each.coexist:
                    self._before(each)
            for each in own:
                waiting.append(each.id)
                if each.coexist:
                    apply(waiting)
                    waiting = []
                    self._again(each, f"after {each.id}")
        if waiting:
            apply(waiting)

    def end(self) -> None:
        """Run all of it once more, where every migration has run.

        Raises:
            OldVersionBarred: It fails, or does something else than before.
        """
        for each in self.tried:
            self._again(each, "once every migration has run")

    def found(self, *, works: bool = True) -> list[migrate.Coexisting]:
        """Return what the ledger is told of what was tried."""
        digests = coexist_file.digests(self.folders)
        return [
            migrate.Coexisting(
                migration=each.id,
                digest=digests[each.id],
                works=works,
                role=self.role,
                statements=len(each.coexist),
                deployment=self.deployment,
            )
            for each in self.tried
        ]

    def notes(self) -> list[str]:
        """Say what worked."""
        return [
            f"{counted(len(each.coexist), 'statement')} of the old version"
            f" {'works' if len(each.coexist) == 1 else 'work'} beside {each.id} as before it"
            for each in self.tried
        ]

    def _before(self, migration: Migration) -> None:
        self.tried.append(migration)
        try:
            self.did[migration.id] = self._run(migration)
        except migrate.OldVersionFails as error:
            raise OldVersionBarred(
                f"in the rehearsal: before {migration.release} already, so that it proves nothing of"
                f" {migration.id}: {error.message}",
                hint=f"write in {coexist_file.name(migration)} what the old version runs, then run the"
                f" same command again: {UNTOUCHED}",
                host=error.host,
                cause=error.cause,
            ) from error

    def _again(self, migration: Migration, when: str) -> None:
        try:
            done = self._run(migration)
        except migrate.OldVersionFails as error:
            raise OldVersionBarred(
                f"in the rehearsal: the old version cannot go on {when}: {error.message}",
                hint=_correct(migration),
                host=error.host,
                cause=error.cause,
            ) from error
        for statement, first, last in zip(
            migration.coexist, self.did[migration.id], done, strict=True
        ):
            if not first.same(last):
                raise self._other(migration, statement, when, _difference(first, last))

    def _other(
        self, migration: Migration, statement: Statement, when: str, difference: str
    ) -> OldVersionBarred:
        path = migration.path.with_suffix(coexist_file.SUFFIX)
        return OldVersionBarred(
            f"in the rehearsal: the old version does something else {when}: {path}:{statement.line}:"
            f" {statement.effect.kind} as {self.role} {difference}",
            hint=_correct(migration),
            cause=statement.sql,
        )

    def _run(self, migration: Migration) -> tuple[Did, ...]:
        path = migration.path.with_suffix(coexist_file.SUFFIX)
        with self.enter() as place:
            self.role = place.user
            return migrate.as_old_version(place, migration.coexist, path)


def told(
    migrations: Sequence[Migration],
    folders: Sequence[MigrationFolder],
    known: migrate.Rehearsals,
) -> tuple[str, ...]:
    """Return a line for each coexist file of these migrations: what a rehearsal found, and how long ago.

    Args:
        migrations: What is to run.
        folders: All migrations of their releases.
        known: What rehearsals have left.
    """
    digests = coexist_file.digests(folders)
    return tuple(
        f"{each.id}  {_words(each, known.beside(each.id, digests[each.id]), known.now)}"
        for each in migrations
        if each.coexist
    )


def _words(migration: Migration, found: migrate.Coexisting | None, now: dt.datetime) -> str:
    what = counted(len(migration.coexist), "statement")
    if found is None or found.at is None:
        return f"{what} of the old version, not tried in a rehearsal yet"
    age = duration.words(max((now - found.at).total_seconds(), 0))
    return f"{what} of the old version worked beside it as {found.role}, {age} ago"


def _difference(first: Did, last: Did) -> str:
    if first.rows != last.rows:
        return f"has {counted(last.rows, 'row')}, and {first.rows} before"
    if missing := [name for name in first.columns if name not in last.columns]:
        return f"gives no {', '.join(missing)} any more"
    return f"gives {counted(last.rows, 'row')} as before, with other values"


def _correct(migration: Migration) -> str:
    return (
        f"correct {migration.path.name}, or take {coexist_file.name(migration)} away, and a rollback"
        f" undoes the migration first; then run the same command again: {UNTOUCHED}"
    )
