"""A database beside the live one: made from a backup, held against it, dropped or kept."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from changeover.agent.backup import create
from changeover.agent.failure import ActionError
from changeover.agent.postgres import (
    content,
    definition_secrets,
    extensions,
    properties,
    roles,
    subscriptions,
    tools,
)
from changeover.agent.postgres.room import Room
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import identifier, literal

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.agent.backup.store import Record, Store

MAINTENANCE = "postgres"
# a copy is packed otherwise than what it was taken from
GROWTH = 1.2
# The purpose of a database that definitions are loaded into once.
SCRATCH = "definition"
MAKERS_SECONDS = 60.0
POLL_SECONDS = 0.05


def drop(session: Session, database: str) -> None:
    """Drop a side database with whoever is in it, and with whoever is still making it.

    A server goes on with ``CREATE DATABASE`` for a while after its client was killed, and nobody sees
    that database until it is made: it would be there just when it is made again.

    Raises:
        ActionError: ``query-slow`` when whoever makes it does not end.
    """
    made = f"query LIKE 'CREATE DATABASE%' AND strpos(query, {literal(identifier(database))}) > 0"
    ours = f"application_name = current_setting('application_name') AND {made}"
    others = f"pid <> pg_backend_pid() AND state = 'active' AND {ours}"
    until = time.monotonic() + MAKERS_SECONDS
    end_them = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"  # noqa: S608 - quoted above
    while session.rows(end_them):
        if time.monotonic() > until:
            raise ActionError("query-slow", f"{database} is still being made by a run that is gone")
        time.sleep(POLL_SECONDS)
    subscriptions.drop(session, database)
    session.run(f"DROP DATABASE IF EXISTS {identifier(database)} WITH (FORCE)")


def readable(store: Store, session: Session, directory: Path) -> None:
    """Read the whole archive as a restore would, into nothing.

    Raises:
        ActionError: ``backup-damaged`` when the archive's own reader stops before its end.
    """
    program = store.server.program("pg_restore", session.major)
    try:
        archive = directory / create.DUMP
        tools.run(store.server, [program, "--file=/dev/null", archive])
    except ActionError as error:
        if error.error != "tool-failed" or not error.cause:
            raise  # a reader that was killed says nothing, and nothing of the archive
        message = f"{create.DUMP} cannot be read to its end"
        raise ActionError(
            "backup-damaged", message, cause=error.cause, member=create.DUMP
        ) from error


def restore(
    store: Store, session: Session, directory: Path, manifest: Record, side: str, jobs: int = 0
) -> Record:
    """Restore a backup into a new database, and hold it against the manifest.

    Args:
        store: The app's backups.
        session: A session in the maintenance database.
        directory: The backup.
        manifest: Its manifest, already held against its members.
        side: The new database; one that is there under this name is dropped first.
        jobs: Parallel workers.

    Returns:
        ``seconds`` of both; ``extensions`` that have another version there, each with the two.

    Raises:
        ActionError: ``roles-missing``, ``disk-too-small``, before it begins or in time for the live server;
            ``disk-full``; ``restore-failed`` with the tool's words; ``backup-differs`` naming what is
            not as it was in the dump's snapshot. Nothing of it stays.
    """
    roles.require(session, manifest)
    drop(session, side)
    tablespace = properties.tablespace(session, store.database, manifest["settings"])
    room = Room(session, tablespace["place"])
    room.ask(needed(manifest), "the restore beside the live one")
    begun = time.monotonic()
    try:
        settings = manifest["settings"] | {"tablespace": tablespace["name"]}
        session.run(properties.create(side, settings, session.major))
        _load(store, session.major, directory / create.DUMP, side, jobs, room)
        restored = time.monotonic()
        check(store, session, directory, manifest, side)
        differing = _extensions(store, manifest, side)
    except BaseException:
        discard(store, side)
        raise
    compared = time.monotonic()
    seconds = {"restore": round(restored - begun, 2), "compare": round(compared - restored, 2)}
    return {"seconds": seconds, "extensions": differing}


def _extensions(store: Store, manifest: Record, side: str) -> Record:
    before = manifest.get("extensions")  # older agents did not note them
    if before is None:
        return {}
    with Session(store.server, side) as inside:
        differ = extensions.differing(before, extensions.versions(inside))
    for name, (then, now) in differ.items():
        store.server.say(
            f"extension {name} is {now} where it is restored, and {then} in the backup"
        )
    return differ


def needed(manifest: Record) -> int:
    """Return the bytes that a restore takes where the database lies: indexes are sorted in files first."""
    sorted_first = sum(manifest.get("largest_indexes", []))  # older agents did not note them
    return int(manifest["database_bytes"] * GROWTH) + sorted_first


def discard(store: Store, side: str) -> None:
    """Drop a side database that is of no use, whatever became of the session that made it."""
    with (
        contextlib.suppress(
            ActionError
        ),  # why it is of no use is told; the next run drops it first
        Session(store.server, MAINTENANCE) as session,
    ):
        drop(session, side)


def _load(store: Store, major: int, dump: Path, side: str, jobs: int, room: Room) -> None:
    program = store.server.program("pg_restore", major)
    options = ("--exit-on-error", f"--jobs={create.jobs_for(jobs)}", "--no-password")
    command = [program, *options, subscriptions.WITHOUT, "-d", side, dump]
    try:
        with tools.Running(store.server, command, major=major) as restoring:
            restoring.wait(watch=lambda: room.watch("a restore"))
    except ActionError as error:
        if error.error != "tool-failed":
            raise
        message = f"the backup cannot be restored into {side}"
        raise ActionError("restore-failed", message, cause=error.cause) from error


def check(store: Store, session: Session, directory: Path, manifest: Record, side: str) -> None:
    """Hold a side database against the backup: rows, values, sequences and definitions.

    Raises:
        ActionError: ``backup-differs`` naming the first difference.
    """
    with Session(store.server, side) as inside:
        content.compare(inside, manifest)
    program = store.server.program("pg_dump", session.major)
    found = content.schema(store.server, program, side, major=session.major)
    wanted = (directory / create.SCHEMA).read_text("utf-8", "surrogateescape")
    if found == wanted:
        return
    scratch = store.side(directory.name, SCRATCH)
    wanted = settled(store, session, wanted, scratch, manifest["settings"])
    if found != wanted:
        raise ActionError(
            "backup-differs",
            "the restored definitions are not those of the dump",
            cause=_difference(store, wanted, found),
            table=create.SCHEMA,
        )


def settled(store: Store, session: Session, wanted: str, scratch: str, settings: Record) -> str:
    """Return definitions as they read after one load.

    PostgreSQL writes some expressions differently once they went through its parser, for example
    ``varchar IN (...)`` in a CHECK, so texts can only be compared after the same number of loads.

    Args:
        store: The app's backups.
        session: A session in the maintenance database.
        wanted: The definitions as SQL.
        scratch: The database to load them into; it is dropped before and after.
        settings: The properties of the database that they are from.
    """
    drop(session, scratch)
    try:
        session.run(properties.create(scratch, settings, session.major))
        psql = store.server.program("psql", session.major)
        options = ("-X", "-q", "-v", "ON_ERROR_STOP=1")
        tools.run(store.server, [psql, *options, "-d", scratch], script=wanted)
        program = store.server.program("pg_dump", session.major)
        return content.schema(store.server, program, scratch, major=session.major)
    finally:
        drop(session, scratch)


def _difference(store: Store, wanted: str, found: str) -> str:
    import difflib  # noqa: PLC0415 - only a failure needs it

    one, other = (
        definition_secrets.shown(store.root, text).splitlines() for text in (wanted, found)
    )
    lines = difflib.unified_diff(one, other, "dump", "restored", n=1, lineterm="")
    return "\n".join(list(lines)[:40])
