"""Where backups lie, who may work on them, and how their files are sealed.

A backup is a directory. It is written under another name, sealed and renamed, so one that is there
is whole. ``SHA256SUMS`` closes it and is readable by ``sha256sum -c``; records that are written
later carry their own digest.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.agent.failure import ActionError
from changeover.agent.postgres.tools import SYSTEM_USER, Server
from changeover.agent.system import durable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = 1 << 20
LOCK_SECONDS = 90.0  # longer than an exchange that outlives its agent
NAME_BYTES = 63
MOST_TAIL_BYTES = 45  # leaves room for a digest of the live name and some of its letters
IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SUMS = "SHA256SUMS"
MANIFEST = "manifest.json"
PARTIAL = ".partial"
Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The backups of one app on this host.

    Args:
        root: Directory that holds one directory a backup.
        app: The app's name.
        database: Its live database.
        server: The server that the database lives on.
    """

    root: Path
    app: str
    database: str
    server: Server

    def path(self, backup: str) -> Path:
        """Return a backup's directory.

        Raises:
            ActionError: ``backup-name`` when the id could leave the store or look unfinished.
        """
        if not IDENTITY.fullmatch(backup) or backup.endswith(PARTIAL):
            raise ActionError("backup-name", f"{backup!r} is not a backup id")
        return self.root / backup

    def present(self, backup: str) -> Path:
        """Return the directory of a backup that is there."""
        path = self.path(backup)
        if not path.is_dir():
            raise ActionError("backup-unknown", f"{self.app} has no backup {backup}")
        return path

    def side(self, backup: str, purpose: str = "verify") -> str:
        """Return the name of the database that this backup is restored into beside the live one.

        It ends with purpose and backup as they are, so that the name alone tells them. What does not
        fit into a name of PostgreSQL's is taken from the live one's part, which a digest then tells.
        """
        tail = f"_{purpose}_{backup}"
        if len(tail.encode()) > MOST_TAIL_BYTES:
            tail = f"_{purpose}_{_digest(backup, 16)}"
        if len(f"{self.database}{tail}".encode()) <= NAME_BYTES:
            return self.database + tail
        digest = _digest(self.database, 8)
        room = NAME_BYTES - len(f"_{digest}{tail}".encode())
        return f"{self.database.encode()[:room].decode(errors='ignore')}_{digest}{tail}"

    def beside(self, name: str, purpose: str) -> str | None:
        """Return which backup or moment a database's name tells; ``None`` when it is none of this app's.

        Args:
            name: A database's name.
            purpose: As ``side`` got it.
        """
        _, mark, told = name.rpartition(f"_{purpose}_")
        return told if mark and self.side(told, purpose) == name else None

    @contextlib.contextmanager
    def lock(self) -> Iterator[int]:
        """Hold the store alone; give the descriptor, which a child may hold on to.

        Raises:
            ActionError: ``backup-busy`` when somebody else still works on it
                after ``LOCK_SECONDS``.
        """
        # the directory above holds one directory an app and is the platform's
        durable.ensure_directory(self.root.parent)
        self.root.mkdir(mode=0o750, exist_ok=True)
        give(self.root, 0o750)
        with (self.root / "lock").open("a") as file:
            give(self.root / "lock", 0o600)
            until = time.monotonic() + LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        message = f"another backup or restore of {self.app} is under way"
                        raise ActionError("backup-busy", message) from None
                    time.sleep(0.1)
            yield file.fileno()


def _digest(text: str, letters: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:letters]


def now() -> str:
    """Return this moment in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def moment() -> str:
    """Return this moment in UTC, to the microsecond: it puts in order what ends within a second."""
    seconds, rest = divmod(time.time_ns(), 10**9)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{rest // 1000:06}Z"


def give(path: Path, mode: int, *, owner: str = "root") -> None:
    """Set mode and owner; the group is the database's, which may read and never write."""
    if os.geteuid() == 0:
        shutil.chown(path, owner, SYSTEM_USER)
    path.chmod(mode)


def measure(path: Path, *, seal: bool = False) -> Record:
    """Read a whole file and return ``{"bytes", "sha256"}``.

    Args:
        path: The file.
        seal: Also take it from the database's user and make it durable.

    Raises:
        ActionError: ``backup-damaged`` when it is not a plain file of its own.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise damaged(path.name, "is not a plain file that can be read") from error
    with open(descriptor, "rb") as file:  # noqa: PTH123 - the descriptor refuses symbolic links
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            raise damaged(path.name, "is not a plain file")
        digest = hashlib.sha256()
        while chunk := file.read(CHUNK):
            digest.update(chunk)
        if seal:
            if os.geteuid() == 0:
                os.fchown(descriptor, 0, -1)
            os.fchmod(descriptor, 0o640)
            os.fsync(descriptor)
        return {"bytes": facts.st_size, "sha256": digest.hexdigest()}


def damaged(member: str, fact: str) -> ActionError:
    """Return the failure that names the damaged member."""
    return ActionError("backup-damaged", f"{member} {fact}", member=member)


def render(record: Record) -> bytes:
    """Return a record as the one JSON text that stands for it."""
    return (json.dumps(record, indent=1, sort_keys=True) + "\n").encode()


def write_sealed(path: Path, record: Record) -> None:
    """Write a record that carries its own digest."""
    durable.write(path, render(record | {"seal": hashlib.sha256(render(record)).hexdigest()}))


def read_sealed(path: Path, member: str) -> Record | None:
    """Read a record that carries its own digest; ``None`` when there is none.

    Raises:
        ActionError: ``backup-damaged`` when a single bit of it is not as written.
    """
    if not path.exists():
        return None
    raw = path.read_bytes()
    try:
        record: Record = json.loads(raw)
        seal = record.pop("seal")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise damaged(member, "is not a sealed record") from None
    if raw != render(record | {"seal": seal}) or (
        hashlib.sha256(render(record)).hexdigest() != seal
    ):
        raise damaged(member, "is not as it was written")
    return record
