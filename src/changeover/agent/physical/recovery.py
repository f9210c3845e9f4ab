"""Recover to a moment: on a scratch cluster, of which only the app's database is kept, as a backup.

What becomes of the recovered database is the work of any other backup: it is proved by a restore,
priced table by table, swapped in by rename, and the one that was live is kept.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.agent.backup import create, price, side_database
from changeover.agent.backup.store import now, read_sealed, write_sealed
from changeover.agent.failure import ActionError
from changeover.agent.physical import pgbackrest, scratch, state
from changeover.agent.postgres.room import Room, require_free
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import literal
from changeover.agent.system import durable

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.agent.backup.store import Record, Store
    from changeover.agent.physical.pgbackrest import Archive

DRILLED = "drilled.json"
# Since this version a target that the log does not reach ends the recovery.
STOPS_SINCE = 13
SIZES = """
SELECT pg_database_size(current_database()) AS own, sum(pg_database_size(oid)) AS every FROM pg_database"""
NEXT = "SELECT txid_snapshot_xmax(txid_current_snapshot()) AS next"
THERE = "SELECT count(*) FROM pg_database WHERE datname = {name}"
LEDGER = "SELECT to_regclass('changeover.migration') IS NOT NULL AS there"
MIGRATIONS = """
SELECT count(*) FILTER (WHERE state = 'applied') AS applied,
count(*) FILTER (WHERE state IN ('running', 'reverting')) AS unfinished FROM changeover.migration"""
CLOCK = (
    "SELECT extract(epoch FROM clock_timestamp())::float8 AS now, current_database() AS database"
)
# Whoever was in the middle of a transaction at that moment has a lower number than who came later; a
# prepared one is not aborted.
CUT_SHORT = """
SELECT coalesce(json_agg(x), '[]') AS open FROM generate_series({first}, {last}) AS x
WHERE txid_status(x) IS DISTINCT FROM 'committed'"""
AT_ONCE = 100_000
ENDED_LATER = """
SELECT min(x) AS first FROM (VALUES {open}) AS cut (x) WHERE txid_status(x) = 'committed'"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is recovered to.

    Args:
        words: What a person reads.
        at: The moment, UTC.
        backup: The physical backup to begin with.
        options: The same for pgBackRest.
    """

    words: str
    at: str
    backup: Record
    options: tuple[str, ...]


def recover(store: Store, archive: Archive, wanted: str, backup: str) -> Record:
    """Make the app's database as it was at a moment into a backup like any other.

    Args:
        store: The app's backups.
        archive: The archive it is recovered from.
        wanted: A moment with its offset from UTC, or the name of a point.
        backup: The id of the new backup.

    Raises:
        ActionError: ``target-future``, ``target-too-early``, ``target-unknown``; ``disk-too-small``;
            as of ``scratch.cluster`` and ``create.create``.
    """
    begun = time.monotonic()
    target, room = _agreed(store, archive, wanted)
    require_free(room, needed(store, target, copies=3), "the recovery beside the live cluster")
    label, options = target.backup["label"], target.options
    with scratch.cluster(store, archive, label, options) as (then, oldest):
        recovered = round(time.monotonic() - begun, 2)
        about = _about(store, then, target, oldest) | {"seconds": recovered}
        wish = create.Wish(backup=backup, release="", colour="", schema_version="", recovered=about)
        return create.create(then, wish) | {"recovered": about}


def drill(store: Store, archive: Archive, wanted: str) -> Record:
    """Recover on a scratch cluster, read every row, hold it against the live database; keep nothing.

    Args:
        store: The app's backups.
        archive: The archive it is recovered from.
        wanted: As for ``recover``; empty for this moment.

    Raises:
        ActionError: As ``recover``.
    """
    begun = time.monotonic()
    target, room = _agreed(store, archive, wanted)
    require_free(room, needed(store, target, copies=0), "the drill beside the live cluster")
    label, options = target.backup["label"], target.options
    with scratch.cluster(store, archive, label, options) as (then, oldest):
        recovered = time.monotonic()
        about = _about(store, then, target, oldest)
        with Session(then.server, store.database) as session:
            manifest = create.observed(session, store.database)
        read = time.monotonic()
        definition = create.definition(then)
    manifest |= create.as_of(about)
    tables = {name: table for name, table in manifest["tables"].items() if "." in name}
    answer = {
        **about,
        "drilled": now(),
        "tables": len(tables),
        "rows": sum(table["rows"] for table in tables.values()),
        "definition_lines": len(definition.splitlines()),
        "seconds": {
            "recover": round(recovered - begun, 2),
            "read": round(read - recovered, 2),
        },
        "price": price.priced(store, target.words, manifest, 0),
    }
    kept = {name: answer[name] for name in ("drilled", "words", "at", "label", "rows", "tables")}
    durable.ensure_directory(store.root)
    write_sealed(store.root / DRILLED, kept)
    return answer


def drilled(store: Store) -> Record | None:
    """Return what the last drill that went well came to."""
    return read_sealed(store.root / DRILLED, DRILLED)


def _agreed(store: Store, archive: Archive, wanted: str) -> tuple[Target, Path]:
    """Return the target and the directory whose disk is used, once the log up to now has arrived."""
    with Session(store.server, side_database.MAINTENANCE) as session:
        clock = float(session.row(CLOCK)["now"])
        if session.major < STOPS_SINCE:
            message = (
                f"PostgreSQL {session.major} goes live wherever the log ends, and says nothing"
            )
            raise ActionError("server-older", message)
    backups = [one for one in archive.info().get("backup", []) if not one.get("error")]
    if not backups:
        message = f"the repository on {archive.repository} has no physical backup yet"
        raise ActionError("no-physical-backup", message)
    target = (
        moment_of(wanted or _stamp(clock), clock, backups)
        if not wanted or _epoch(wanted) is not None
        else point_of(wanted, state.points(store), backups)
    )
    state.see_arrive(store, archive)
    return target, scratch.cleared(store).parent


def moment_of(wanted: str, clock: float, backups: list[Record]) -> Target:
    """Return the target of a moment.

    Args:
        wanted: The moment, with its offset from UTC.
        clock: What the database's clock shows, in seconds since 1970.
        backups: The physical backups, oldest first.

    Raises:
        ActionError: ``target-future``, ``target-too-early``.
    """
    epoch = _epoch(wanted)
    if epoch is None or epoch > clock:
        message = (
            f"{wanted} has not been yet: the database's clock shows {pgbackrest.moment(clock)}"
        )
        raise ActionError("target-future", message)
    fitting = [one for one in backups if one["timestamp"]["stop"] < epoch]
    first = backups[0]["timestamp"]["stop"] + 1
    chosen = _newest(fitting, wanted, first)
    moment = dt.datetime.fromtimestamp(epoch, dt.UTC)
    stamp = moment.strftime("%Y-%m-%d %H:%M:%S.%f+00")
    options = ("--type=time", f"--target={stamp}", "--target-action=promote")
    return Target(words=wanted, at=_stamp(epoch), backup=chosen, options=options)


def point_of(name: str, points: list[Record], backups: list[Record]) -> Target:
    """Return the target of a named point.

    Args:
        name: The name.
        points: The points there are, oldest first.
        backups: The physical backups, oldest first.

    Raises:
        ActionError: ``target-unknown``, ``target-too-early``.
    """
    known = {point["name"]: point for point in points}
    if name not in known:
        last = ", ".join(list(known)[-5:]) or "none yet"
        message = f"there is no point {name}; the last ones: {last}"
        raise ActionError("target-unknown", message)
    point = known[name]
    fitting = [one for one in backups if _position(one["lsn"]["stop"]) <= _position(point["lsn"])]
    chosen = _newest(fitting, f"{name} ({point['at']})", backups[0]["timestamp"]["stop"] + 1)
    # by its place: a name may be in the log twice, and recovery stops at the first
    place = ("--type=lsn", f"--target={point['lsn']}", "--target-exclusive")
    options = (*place, "--target-action=promote")
    return Target(words=name, at=point["at"], backup=chosen, options=options)


def _newest(fitting: list[Record], wanted: str, first: float) -> Record:
    if not fitting:
        message = f"{wanted} is before the first physical backup: {pgbackrest.moment(first)} is the first moment"
        raise ActionError("target-too-early", message)
    return max(fitting, key=lambda one: float(one["timestamp"]["stop"]))


def needed(store: Store, target: Target, *, copies: int) -> int:
    """Return the bytes that a recovery takes: the cluster, and the app's database so many times.

    The log makes the cluster as large as the live one may have become since the backup, and what the
    live server may write meanwhile is not taken from it.
    """
    place = scratch.directory(store).parent
    with Session(store.server, store.database) as session:
        sizes = session.row(SIZES)
        spare = Room(session, place).spare()
    whole = max(int(target.backup["info"]["size"]), int(sizes["every"]))
    return int(whole * scratch.GROWTH) + copies * int(sizes["own"]) + spare


def _about(live: Store, then: Store, target: Target, oldest: int) -> Record:
    """Return what was recovered, and how far the ledger of the migrations is there.

    Raises:
        ActionError: ``target-too-early`` where the app's database was not there yet.
    """
    with Session(then.server, side_database.MAINTENANCE) as session:
        if not session.value(THERE.format(name=literal(then.database))):
            message = f"{target.words} is before there was a database {then.database}"
            raise ActionError("target-too-early", message)
    with Session(then.server, then.database) as session:
        ledger = session.row(MIGRATIONS) if session.value(LEDGER) else None
        following = int(session.value(NEXT))
        first = _first(live, session, oldest, following)
    return {
        "first_transaction": first,
        "words": target.words,
        "at": target.at,
        "label": target.backup["label"],
        "migrations": ledger,
    }


def _first(live: Store, then: Session, oldest: int, following: int) -> int:
    """Return the first transaction that the recovery cut short, or never saw, and the live server committed.

    Args:
        live: The live database.
        then: A session in the recovered one.
        oldest: The oldest transaction that was open when recovery began.
        following: The one that the recovered server would begin next.
    """
    with Session(live.server, live.database) as session:
        for first in range(oldest, following, AT_ONCE):
            last = min(first + AT_ONCE, following) - 1
            unfinished = then.value(CUT_SHORT.format(first=first, last=last))
            values = ", ".join(f"({number}::bigint)" for number in unfinished)
            found = session.value(ENDED_LATER.format(open=values)) if unfinished else None
            if found is not None:
                return int(found)
    return following


def _epoch(text: str) -> float | None:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def _stamp(epoch: float) -> str:
    moment = dt.datetime.fromtimestamp(epoch, dt.UTC)
    return moment.isoformat(timespec="microseconds")


def _position(lsn: str) -> int:
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)
