"""A scratch cluster: the whole database server as it was, beside the live one, and doing nothing outside.

It has a data directory of its own, listens on no address, and its socket is in its own directory. Its
log goes nowhere, because archiving is off, and no background worker runs: subscriptions take nothing
from where the live server takes it, and jobs stand still. It ends with the agent, whatever ends that;
the directory that is then left is removed by whatever needs the disk next.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.agent.backup import side_database
from changeover.agent.backup.store import give
from changeover.agent.failure import ActionError
from changeover.agent.physical import pgbackrest
from changeover.agent.postgres import tools
from changeover.agent.postgres.room import Room
from changeover.agent.postgres.session import Session
from changeover.agent.system import durable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.agent.backup.store import Store
    from changeover.agent.physical.pgbackrest import Archive
    from changeover.agent.postgres.tools import Server

PORT = 5432
MEGABYTE = 1_000_000
LOG = "postgresql.log"
GRACE_SECONDS = 30.0
LOOK_SECONDS = 0.2
SAY_SECONDS = 10.0
# A recovered cluster needs room for more than its files: the log that is replayed, and what it writes.
GROWTH = 1.1
UNREACHED = "recovery ended before configured recovery target was reached"
# Prepared transactions come back with their locks; the library, because tables may need it.
TAKEN_OVER = """
SELECT name, setting FROM pg_settings WHERE name IN ('max_connections', 'max_prepared_transactions',
'max_locks_per_transaction', 'shared_preload_libraries')"""
# On the command line they win over what ALTER SYSTEM wrote into the copied directory.
SETTINGS = {
    "archive_cleanup_command": "",
    "archive_mode": "off",
    "autovacuum": "off",
    "cron.launch_active_jobs": "off",
    "external_pid_file": "",
    "fsync": "off",
    "hot_standby": "off",
    "huge_pages": "off",
    "lc_messages": "C",
    "listen_addresses": "",
    "log_destination": "stderr",
    "log_filename": LOG,
    "log_min_messages": "warning",
    "logging_collector": "on",
    "max_logical_replication_workers": "0",
    # a preloaded library starts none, either
    "max_worker_processes": "0",
    "port": str(PORT),
    "primary_conninfo": "",
    "recovery_end_command": "",
    "shared_buffers": "64MB",
    "ssl": "off",
    "synchronous_standby_names": "",
}


def directory(store: Store) -> Path:
    """Return where the app's scratch cluster lies: on the disk of the live one."""
    with Session(store.server, side_database.MAINTENANCE) as session:
        data = Path(str(session.value("SELECT current_setting('data_directory') AS directory")))
    return data.parent / f"changeover-scratch-{store.app}"


def left(store: Store) -> int | None:
    """Return the bytes that a scratch cluster takes; ``None`` where there is none."""
    root = directory(store)
    return taken(root) if root.is_dir() else None


def taken(root: Path) -> int:
    """Return the bytes that the files in a directory take."""
    found = 0
    for path in root.rglob("*"):
        with contextlib.suppress(OSError):  # one that is at work removes files
            found += path.lstat().st_size
    return found


def cleared(store: Store) -> Path:
    """Return where the scratch cluster is to lie, once one that was left there is removed.

    A run that was killed leaves as much as a whole cluster takes, so this comes before room is asked for.
    """
    root = directory(store)
    if sweep(root):
        store.server.say(f"a scratch cluster that was left in {root} is removed")
    return root


def sweep(root: Path) -> bool:
    """Remove a scratch cluster that was left; tell whether there was one."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        number = int((root / "data/postmaster.pid").read_text().splitlines()[0])
        # a number is given to others in time; the working directory tells whose it is
        if Path(f"/proc/{number}/cwd").readlink() == root / "data":
            os.kill(number, signal.SIGKILL)
    return durable.remove_tree(root)


@contextlib.contextmanager
def cluster(
    store: Store, archive: Archive, backup: str, target: tuple[str, ...]
) -> Iterator[tuple[Store, int]]:
    """Recover the whole cluster aside; give the app's database in it as a store's, and a transaction.

    That is the oldest one that was open when recovery began: none that it cuts short is older.

    Args:
        store: The app's backups.
        archive: The archive it is recovered from.
        backup: The label of the physical backup to begin with.
        target: What pgBackRest is told about how far to go.

    Raises:
        ActionError: As ``Archive.run``; ``target-unreached``; ``recovery-failed``. Nothing of it stays.
    """
    root = cleared(store)
    durable.ensure_directory(root.parent)
    root.mkdir(mode=0o700)
    give(root, 0o700, owner=tools.SYSTEM_USER)
    try:
        _copy(archive, root, backup, target)
        oldest = _oldest_open(store, root / "data")
        with started(store, root) as server:
            yield dataclasses.replace(store, server=server), oldest
    finally:
        sweep(root)


def _copy(archive: Archive, root: Path, backup: str, target: tuple[str, ...]) -> None:
    archive.server.say(f"pgBackRest restores {backup} into {root}")
    archive.run(
        "restore",
        f"--set={backup}",
        f"--pg1-path={root / 'data'}",
        # or the live cluster's own tablespaces would be written to
        f"--tablespace-map-all={root / 'tablespaces'}",
        "--archive-mode=off",
        *target,
        seconds=pgbackrest.COPY_SECONDS,
        far=lambda: f"{taken(root) / MEGABYTE:.0f} MB of it are there",
    )


def _oldest_open(store: Store, data: Path) -> int:
    """Return the oldest open transaction of the checkpoint that recovery begins at, as 64 bits."""
    program = store.server.program("pg_controldata", int((data / "PG_VERSION").read_text()))
    said = tools.run(store.server, [program, data])
    facts = dict(line.split(":", 1) for line in said.splitlines() if ":" in line)
    epoch, following = map(int, facts["Latest checkpoint's NextXID"].split(":"))
    # none after a shutdown
    oldest = int(facts["Latest checkpoint's oldestActiveXID"]) or following
    return max(3, ((epoch - (oldest > following)) << 32) + oldest)


@contextlib.contextmanager
def started(store: Store, root: Path) -> Iterator[Server]:
    """Start what was copied into ``root / "data"``, and give it once it is recovered.

    Raises:
        ActionError: ``target-unreached``; ``recovery-failed``; ``disk-too-small``, in time for the
            live server.
    """
    with Session(store.server, side_database.MAINTENANCE) as session:
        settings = {str(row["name"]): str(row["setting"]) for row in session.rows(TAKEN_OVER)}
        program = store.server.program("postgres", session.major)
        room = Room(session, root)
    for name in ("postgresql.conf", "pg_ident.conf"):
        _write(root / name, "")
    _write(root / "pg_hba.conf", "local all postgres peer\n")
    settings |= SETTINGS | {
        "config_file": str(root / "postgresql.conf"),
        "hba_file": str(root / "pg_hba.conf"),
        "ident_file": str(root / "pg_ident.conf"),
        "log_directory": str(root),
        "unix_socket_directories": str(root),
    }
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command = [program, "-D", root / "data", *words]
    server = dataclasses.replace(store.server, socket=str(root), port=PORT)
    with tools.Running(store.server, command) as running:
        try:
            _recovered(store, server, running.process, root, room)
            yield server
        finally:
            running.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(GRACE_SECONDS)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    give(path, 0o600, owner=tools.SYSTEM_USER)


def _recovered(
    store: Store, server: Server, process: subprocess.Popen[bytes], root: Path, room: Room
) -> None:
    """Wait until the cluster has reached its target and takes connections."""
    ready = [store.server.program("pg_isready"), "-q"]
    begun = said = time.monotonic()
    while process.poll() is None:
        room.watch("a recovery")
        try:
            tools.run(server, ready)
        except ActionError:
            now = time.monotonic()
            if now - begun > pgbackrest.COPY_SECONDS:
                raise ActionError("recovery-failed", "the recovery did not end") from None
            if now - said > SAY_SECONDS:
                said = now
                store.server.say(f"recovering: {_last(root, 'restored log file')}")
            time.sleep(LOOK_SECONDS)
        else:
            return
    cause = _last(root, "FATAL", "PANIC", "ERROR")
    if UNREACHED in cause:
        message = "the archive ends before the moment that was asked for"
        raise ActionError("target-unreached", message, cause=cause)
    raise ActionError("recovery-failed", "the scratch cluster did not start", cause=cause)


def _last(root: Path, *words: str) -> str:
    """Return the last line of the cluster's log with one of these words."""
    try:
        lines = (root / LOG).read_text(errors="replace").splitlines()
    except OSError:
        return "its log cannot be read"
    found = [line for line in lines if any(word in line for word in words)]
    return found[-1] if found else "it has said nothing yet"
