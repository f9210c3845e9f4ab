"""The host's journal: one JSON object a line, appended and synced before anything is done."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from typing import TYPE_CHECKING, Any

from changeover.agent.failure import ActionError
from changeover.agent.system import durable
from changeover.agent.system.clock import stamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Never written down: values of environments, file contents, checks and their answers, the lease's
# proof.
UNWRITTEN = frozenset({"env", "content_base64", "checks", "answers", "nonce"})
TAIL_BYTES = 1 << 20
LOCK_SECONDS = 10.0
LOCK_POLL_SECONDS = 0.005


class Journal:
    """The journal of one app on this host."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record and wait until it is on the disk.

        A line that a crash tore is ended first, so that it cannot swallow this one.

        Raises:
            ActionError: ``journal-unwritten``; what was to be written down is not to be done.
        """
        line = json.dumps({"at": stamp(), **record}, ensure_ascii=False)
        try:
            self._append(durable.encoded(line))
        except OSError as error:
            raise ActionError(
                "journal-unwritten",
                f"{self._path} cannot be written: {error.strerror or error}",
                cause=str(error),
            ) from error

    def _append(self, line: bytes) -> None:
        durable.ensure_directory(self._path.parent, 0o700)
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor)
            size = os.fstat(descriptor).st_size
            if size == 0:
                durable.sync_directory(self._path.parent)
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            _write_all(descriptor, (b"\n" if torn else b"") + line + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def tail(self, lines: int) -> list[dict[str, Any]]:
        """Return the last records, oldest first, passing over torn lines."""
        try:
            with self._path.open("rb") as stream:
                end = stream.seek(0, os.SEEK_END)
                start = stream.seek(max(0, end - TAIL_BYTES))
                content = stream.read()
        except FileNotFoundError:
            return []
        raw = content.split(b"\n")
        if start:
            raw = raw[1:]
        records = [record for line in raw if (record := _record(line)) is not None]
        return records[-lines:] if lines else []


def written(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an action's parameters may be written down: no object, by whatever name."""
    return {
        name: value
        for name, value in parameters.items()
        if name not in UNWRITTEN and not _has_object(value)
    }


def told(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an action's result may be written down."""
    return {name: value for name, value in result.items() if name not in UNWRITTEN}


def _has_object(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_has_object, value)))


def _lock(descriptor: int) -> None:
    """Be the only writer; another one takes as long as a sync, unless it is stopped.

    Raises:
        TimeoutError: It is.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(errno.ETIMEDOUT, "another agent does not let go of it") from None
            time.sleep(LOCK_POLL_SECONDS)
        else:
            return


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
