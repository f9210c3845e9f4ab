"""Prove that a database has the schema of a release that nobody ran here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.errors import CheckRed, InvalidInput
from changeover.executors.migrate import ledger
from changeover.executors.migrate.adoption import baseline
from changeover.executors.migrate.adoption.presence import missing
from changeover.executors.migrate.adoption.recorded import recorded
from changeover.executors.migrate.failures import VerifyFailed
from changeover.executors.migrate.verify import verify
from changeover.migrations.standing_statements import standing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from changeover.database import Database
    from changeover.executors.migrate.adoption.recorded import Recorded
    from changeover.executors.migrate.session import Connection
    from changeover.migrations.records import Migration, MigrationFolder


class LedgerBegun(InvalidInput):
    """The ledger knows migrations already: there is nothing to adopt."""


class NothingToAdopt(InvalidInput):
    """Neither the release nor those it grew from have migrations."""


class TrustMisplaced(InvalidInput):
    """What is to be taken on trust is nothing that could be."""


class BaselineUnproved(CheckRed):
    """The database does not show that it has the release's schema."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """What speaks against adopting.

    Args:
        sentence: What is missing or wrong.
        name: What a person may take on trust all the same; empty where nobody may.
    """

    sentence: str
    name: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the database shows of itself.

    Args:
        release: The version whose schema it has.
        standing: The migrations whose result is there, in the order they would have run.
        pending: Contract migrations that `finalize` has still to run.
        trusted: What was taken on trust of that.
        recorded: What other tools recorded.
    """

    release: str
    standing: tuple[Migration, ...]
    pending: tuple[Migration, ...]
    trusted: tuple[str, ...]
    recorded: tuple[Recorded, ...]


def prove(
    connection: Connection,
    database: Database,
    folders: Sequence[MigrationFolder],
    trust: Collection[str],
    release: str,
) -> Proof:
    """Hold the database against the files of a release and of those it grew from.

    Contract migrations stand where their verify queries are true; the others are left to `finalize`.

    Args:
        connection: Where to ask, in a transaction.
        database: The same, for messages.
        folders: The migrations, oldest release first.
        trust: Ids of migrations, or names of another tool's changes, that a person answers for.
        release: The version that is adopted; it may have no migrations of its own.

    Raises:
        LedgerBegun: The ledger has migrations.
        NothingToAdopt: There are no migrations.
        TrustMisplaced: A name of ``trust`` is that of nothing in question.
        BaselineUnproved: Something speaks against it that is not taken on trust.
    """
    everything = [migration for folder in folders for migration in folder.migrations]
    if not everything:
        raise NothingToAdopt(
            "neither the release nor one that it grew from has migrations",
            hint="`changeover deploy` begins the ledger where there are none",
        )
    _refuse_begun(connection, database)
    stands, pending = _parted(connection, everything, trust)
    told = recorded(connection)
    doubts = [*_lost(connection, stands), *_unverified(connection, stands), *_failed(told)]
    _refuse_misplaced(trust, stands, told)
    _require_none(database, release, doubts, trust, told)
    return Proof(
        release=release,
        standing=stands,
        pending=pending,
        trusted=tuple(dict.fromkeys(doubt.name for doubt in doubts)),
        recorded=told,
    )


def _refuse_begun(connection: Connection, database: Database) -> None:
    known = ledger.migrations(connection) if ledger.exists(connection) else []
    if not known:
        return
    begun = baseline.read(connection)
    said = f", adopted as {begun.release} at {begun.adopted_at:%Y-%m-%d %H:%M:%S}" if begun else ""
    raise LedgerBegun(
        f"the ledger of {database.name} has {counted(len(known), 'migration')} already{said}",
        host=database.shown_host,
        hint=f"changeover db status{_in(database)} shows them; what is missing is run by"
        " `changeover db migrate`",
    )


def _parted(
    connection: Connection, everything: Sequence[Migration], trust: Collection[str]
) -> tuple[tuple[Migration, ...], tuple[Migration, ...]]:
    """Return what should stand, and the contract migrations that are still to be run."""
    left = {
        migration.id
        for migration in everything
        if migration.phase == "contract"
        and migration.id not in trust
        and (not migration.verify or _wrong(connection, migration) is not None)
    }
    return (
        tuple(migration for migration in everything if migration.id not in left),
        tuple(migration for migration in everything if migration.id in left),
    )


def _wrong(connection: Connection, migration: Migration) -> VerifyFailed | None:
    try:
        verify(connection, migration, migration.verify)
    except VerifyFailed as error:
        return error
    return None


def _lost(connection: Connection, stands: Sequence[Migration]) -> Iterator[Doubt]:
    lost = missing(connection, standing(stands))
    # A table that is plainly missing refuses by itself, and its parts go without saying.
    tables = {made.name for made in lost if made.kind == "table" and made.certain}
    for made in lost:
        if made.kind != "table" and (made.name in tables or made.table in tables):
            continue
        said = f"{made.sentence} is not there, and {made.migration} makes it"
        if made.certain:
            yield Doubt(sentence=said)
        else:
            yield Doubt(
                sentence=f"{said}; a later statement may have taken it away", name=made.migration
            )


def _unverified(connection: Connection, stands: Sequence[Migration]) -> Iterator[Doubt]:
    for place, migration in enumerate(stands):
        if not migration.verify:
            path = migration.path.with_suffix(".verify.sql")
            said = f"{migration.id} has no verify queries: {path} does not exist"
            yield Doubt(sentence=said, name=migration.id)
        elif error := _wrong(connection, migration):
            cause = f" ({error.cause})" if error.cause else ""
            after = [later.id for later in stands[place + 1 :] if later.phase == "contract"]
            done = f"; done since: {', '.join(after)}" if after else ""
            yield Doubt(sentence=f"{error.message}{cause}{done}", name=migration.id)


def _failed(told: Sequence[Recorded]) -> Iterator[Doubt]:
    for each in told:
        if not each.readable:
            yield Doubt(
                sentence=f"{each.says}: grant SELECT on {each.table} to the owner role first"
            )
        for name in each.failed:
            said = f"{each.tool} recorded in {each.table} that {name} failed"
            # Sqitch keeps the event for ever, also of a change that was given up.
            yield Doubt(sentence=said, name=name if each.tool == "Sqitch" else "")


def _refuse_misplaced(
    trust: Collection[str], stands: Sequence[Migration], told: Sequence[Recorded]
) -> None:
    known = {migration.id for migration in stands}
    known |= {name for each in told for name in each.failed}
    for name in trust:
        if name not in known:
            raise TrustMisplaced(
                f"{name} is no migration of the release or of those it grew from",
                hint="name it as `changeover db status` does: RELEASE/PHASE/NNN_name",
            )


def _require_none(
    database: Database,
    release: str,
    doubts: Sequence[Doubt],
    trust: Collection[str],
    told: Sequence[Recorded],
) -> None:
    left = [doubt for doubt in doubts if not doubt.name or doubt.name not in trust]
    if not left:
        return
    hint = (
        "adopt the release whose schema it has, or bring the schema to this one;"
        " what another tool left unfinished is finished or undone with that tool"
    )
    if all(doubt.name for doubt in left):
        names = dict.fromkeys([*trust, *(doubt.name for doubt in left)])
        options = " ".join(f"--trust {name}" for name in names)
        hint = (
            f"see for yourself that each is as it should be, then changeover db adopt {release}"
            f"{_in(database)} {options}"
        )
    raise BaselineUnproved(
        f"{database.name} does not show that it has the schema of {release}",
        host=database.shown_host,
        cause="\n".join([*(doubt.sentence for doubt in left), *(each.says for each in told)]),
        hint=hint,
    )


def _in(database: Database) -> str:
    return f" --env {database.environment}" if database.environment else ""
