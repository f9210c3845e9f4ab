"""What can be recovered: the physical backups, the log since, and the points that have names."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.agent.backup import side_database
from changeover.agent.backup.store import now, read_sealed, write_sealed
from changeover.agent.failure import ActionError
from changeover.agent.physical import log, pgbackrest, schedule
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import literal

if TYPE_CHECKING:
    from changeover.agent.backup.store import Record, Store
    from changeover.agent.physical.pgbackrest import Archive

POINTS = "points.json"
# Where Debian has the server write, and what it prints the archive's command's words to.
SERVER_LOGS = Path("/var/log/postgresql")
TAIL_BYTES = 100_000
# A moment is recovered to by the first commit after it, so there has to be one.
COMMIT = "SELECT txid_current()"
# Older ones than these many are further back than any repository keeps.
MOST_POINTS = 1000
ARCHIVER = """
SELECT archived_count, failed_count, last_archived_wal, last_failed_wal,
to_char(last_archived_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS archived,
to_char(last_failed_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS failed,
coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing,
(SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready') AS waiting,
current_setting('archive_mode') <> 'off' AS archiving
FROM pg_stat_archiver"""


def look(store: Store, archive: Archive) -> Record:
    """Return the physical backups, oldest first, how far the log reaches, and the named points.

    Raises:
        ActionError: As ``Archive.info``.
    """
    backups = archive.info().get("backup", [])
    try:
        state = archiver(store)
    except ActionError:
        state = None  # what is in the repository can be told without the server
    whole = [one for one in backups if not one.get("error")]
    lost = log.gap(store, archive, whole) if state else None
    usable = whole if lost is None else whole[lost["whole"] :] if lost["whole"] is not None else []
    return {
        "repository": archive.repository,
        "apart": archive.apart,
        "backups": [pgbackrest.described(one) for one in backups],
        "archiver": state,
        # a backup's own last second cannot be told from what came after it
        "earliest": pgbackrest.moment(usable[0]["timestamp"]["stop"] + 1) if usable else None,
        "latest": state["archived"] if state and usable else None,
        "lost": lost,
        "age_seconds": time.time() - max(one["timestamp"]["stop"] for one in whole)
        if whole
        else None,
        "every_seconds": schedule.longest_seconds(list(archive.schedules)),
        "points": points(store),
    }


def archiver(store: Store) -> Record:
    """Return what the live server says of its archiver."""
    with Session(store.server, side_database.MAINTENANCE) as session:
        return session.row(ARCHIVER)


def see_arrive(store: Store, archive: Archive) -> None:
    """Wait until the log up to this moment is in the repository.

    Raises:
        ActionError: ``archive-failing`` with the file that is not taken, and since when;
            as ``Archive.run``.
    """
    state = archiver(store)
    if not state["archiving"]:
        message = "the server does not archive its log"
        raise ActionError("archive-failing", message, cause="archive_mode is off")
    if state["failing"]:
        message = (
            f"the log of the database does not arrive in the repository: {state['last_failed_wal']}"
            f" was refused at {state['failed']}, {state['waiting']} files wait"
        )
        raise ActionError("archive-failing", message, cause=last_words())
    with Session(store.server, side_database.MAINTENANCE) as session:
        session.run(COMMIT)
    archive.run(*pgbackrest.CHECK)


def last_words() -> str:
    """Return what pgBackRest said last while the server handed the log over."""
    logs = sorted(SERVER_LOGS.glob("*.log"), key=lambda path: path.stat().st_mtime)
    if not logs:
        return f"the server writes no log to {SERVER_LOGS}"
    with logs[-1].open("rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - TAIL_BYTES))
        lines = stream.read().decode(errors="replace").splitlines()
    errors = [number for number, line in enumerate(lines) if line.startswith("ERROR: [")]
    return (
        "\n".join(lines[errors[-1] : errors[-1] + 3])
        if errors
        else f"{logs[-1]} says nothing of it"
    )


def points(store: Store) -> list[Record]:
    """Return the named points, oldest first: ``name``, ``before``, ``lsn``, ``at``, ``deployment``."""
    record = read_sealed(store.root / POINTS, POINTS)
    return list(record["points"]) if record else []


def refuse_taken(store: Store, name: str) -> None:
    """Refuse a name that another app of this cluster has in the same log: recovery stops at the first.

    Raises:
        ActionError: ``point-taken``.
    """
    for path in store.root.parent.glob(f"*/{POINTS}"):
        record = read_sealed(path, POINTS) or {"points": []}
        if path.parent != store.root and name in {point["name"] for point in record["points"]}:
            message = f"{path.parent.name} has a point {name} in the log of the same cluster"
            raise ActionError("point-taken", message)


def mark(store: Store, name: str, deployment: str, before: str = "") -> Record:
    """Name this moment in the log of the database, so that it can be recovered to.

    A name that is there already keeps its moment: recovery stops at the first of a name, and what
    was begun after it is what a re-run goes on with.

    Args:
        store: The app's backups.
        name: The name.
        deployment: Who names it.
        before: The migration that is about to begin, if one is.

    Raises:
        ActionError: ``point-taken``, ``query-failed``; nothing was named.
    """
    refuse_taken(store, name)
    with store.lock(), Session(store.server, side_database.MAINTENANCE) as session:
        known = points(store)
        for point in known:
            if point["name"] == name:
                return point | {"known": True}
        state = session.row(ARCHIVER)
        failing = bool(state["failing"]) or not state["archiving"]
        made = session.row(f"SELECT pg_create_restore_point({literal(name)})::text AS lsn")
        point = {
            "name": name,
            "before": before,
            "at": now(),
            "deployment": deployment,
            "failing": failing,
            **made,
        }
        content = {"points": [*known, point][-MOST_POINTS:]}
        write_sealed(store.root / POINTS, content)
        return point | {"known": False}
