"""pgBackRest as this host has it: what provision set up, its program run, its failures understood."""

from __future__ import annotations

import json
import re
import signal
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from changeover.agent.failure import ActionError
from changeover.agent.postgres import tools

if TYPE_CHECKING:
    from collections.abc import Callable

    from changeover.agent.call import Call
    from changeover.agent.postgres.tools import Server

CONFIGURATION = "etc/changeover/pgbackrest.json"
PROGRAM = Path("/usr/bin/pgbackrest")
# Where it is unless it is told.
OWN_LOCK = Path("/tmp/pgbackrest")  # noqa: S108 - pgBackRest's own default
# A copy of a large cluster takes hours; nobody waits for one that takes a day.
COPY_SECONDS = 43200.0
ASK_SECONDS = 90.0
# An answer that has not begun by then does not come: the two hosts are neighbours.
PATIENCE = ("--io-timeout=10", "--protocol-timeout=60")
CHECK = ("check", *PATIENCE, "--db-timeout=30", "--archive-timeout=30")
ERROR = re.compile(r"ERROR: \[(\d{3})\]: (.*)", re.DOTALL)
# By pgBackRest's own numbers of errors.
BUSY, ARCHIVE_TIMEOUT = {50}, {82}
UNREACHABLE = {39, 42, 49, 122}
UNREADABLE = {29, 95}
UNREADABLE_WORDS = ("CryptoError", "FormatError")
# The status that `info` gives a stanza.
OK, NO_PATH, NO_BACKUP, NO_DATA = 0, 1, 2, 3
Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """The archive of this cluster's log.

    Args:
        stanza: The name that pgBackRest knows the cluster by.
        repository: The host that keeps it, by its inventory name.
        apart: Whether that is another host than the database's.
        server: The live cluster; its ``say`` hears of progress.
        schedules: When backups are taken, as systemd writes it.
        lock: Where pgBackRest writes down what it is at.
    """

    stanza: str
    repository: str
    apart: bool
    server: Server
    schedules: tuple[str, ...] = ()
    lock: Path = OWN_LOCK

    def run(
        self, *words: str, seconds: float = ASK_SECONDS, far: Callable[[], str] = lambda: ""
    ) -> str:
        """Run pgBackRest as the database's user and return what it printed.

        Args:
            words: Its command and options.
            seconds: For how long it may run.
            far: Tells how far it has come; empty where that is not known.

        Raises:
            ActionError: ``repository-unreachable``, ``no-stanza``, ``passphrase-wrong``,
                ``physical-busy``, ``archive-failing``; ``physical-failed`` for what else it says;
                ``physical-crashed`` where it says nothing, as version 2.45 does of an error text from
                the other host that is no text: that host can say more.
        """
        quiet = ("--log-level-console=off", "--log-level-stderr=error")
        command = [PROGRAM, f"--stanza={self.stanza}", *quiet, *words]
        with tools.Running(self.server, command) as running:
            try:
                return running.wait(seconds, far=far)
            except ActionError as error:
                if error.error != "tool-failed":
                    raise
                if running.process.returncode == -signal.SIGSEGV:
                    message = f"pgBackRest crashed at what {self.repository} sent"
                    raise ActionError("physical-crashed", message) from error
                raise self.failure(error.cause or "") from error

    def info(self) -> Record:
        """Return what pgBackRest knows of the stanza; its backups may be none.

        Raises:
            ActionError: As ``run``.
        """
        # what it could not read it quotes as it is, control characters and all
        answer = json.loads(self.run("info", "--output=json", *PATIENCE), strict=False)
        stanza: Record = answer[0] if answer else {"status": {"code": NO_PATH, "message": ""}}
        code = stanza["status"]["code"]
        if code in {NO_PATH, NO_DATA}:
            raise self._no_stanza(stanza["status"]["message"])
        if code not in {OK, NO_BACKUP}:
            told = [one.get("status", {}).get("message", "") for one in stanza.get("repo", [])]
            raise self.failure("\n".join([stanza["status"]["message"], *told]))
        return stanza

    def failure(self, said: str) -> ActionError:
        """Return what pgBackRest's own words come to."""
        found = ERROR.search(said)
        number = int(found[1]) if found else 0
        cause = "\n".join(line for line in said.splitlines() if line.isascii()).strip()
        if number in UNREACHABLE or "HostConnectError" in said or "unable to connect" in said:
            other = self.repository if self.apart else "the repository"
            message = f"{other} does not answer pgBackRest"
            return ActionError("repository-unreachable", message, cause=cause)
        if number in UNREADABLE or any(word in said for word in UNREADABLE_WORDS):
            message = "the repository cannot be decrypted with the passphrase that was provisioned"
            return ActionError("passphrase-wrong", message, cause=cause)
        if "stanza-create" in said or "does this stanza exist" in said:
            return self._no_stanza(cause)
        if number in BUSY:
            message = "pgBackRest is at another backup of this cluster"
            return ActionError("physical-busy", message, cause=cause)
        if number in ARCHIVE_TIMEOUT:
            message = "the log of the database does not arrive in the repository"
            return ActionError("archive-failing", message, cause=cause)
        return ActionError("physical-failed", "pgBackRest did not do it", cause=cause)

    def _no_stanza(self, cause: str) -> ActionError:
        message = f"the repository on {self.repository} has no stanza {self.stanza}"
        return ActionError("no-stanza", message, cause=cause)


def archive_of(call: Call, server: Server) -> Archive | None:
    """Return the archive that provision set up on this host; ``None`` where it set up none."""
    path = call.host.root / CONFIGURATION
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Archive(
        stanza=record["stanza"],
        repository=record["repository"],
        apart=record["apart"],
        server=server,
        # an older provision does not say these
        schedules=tuple(record.get("schedules", ())),
        lock=Path(record.get("lock", OWN_LOCK)),
    )


def required(call: Call, server: Server) -> Archive:
    """Return the archive of this host.

    Raises:
        ActionError: ``no-archive``; provision set up none.
    """
    found = archive_of(call, server)
    if found is None:
        raise ActionError("no-archive", "no archive of the database's log is set up on this host")
    return found


def back_up(archive: Archive, kind: str) -> Record:
    """Take a physical backup on the repository's host and return its facts.

    Args:
        archive: The archive.
        kind: ``full``, or ``diff`` for what changed since the last full one; the first is full.

    Raises:
        ActionError: As ``Archive.run``.
    """
    begun = time.monotonic()
    archive.server.say(f"pgBackRest takes a {kind} backup")
    archive.run(
        "backup",
        f"--type={kind}",
        "--archive-timeout=60",
        seconds=COPY_SECONDS,
        far=partial(copied, archive),
    )
    made = described(archive.info()["backup"][-1])
    return made | {"seconds": round(time.monotonic() - begun, 1), "repository": archive.repository}


def copied(archive: Archive) -> str:
    """Return how much of a backup that is under way is copied; empty where it has not written that."""
    try:
        record = json.loads((archive.lock / f"{archive.stanza}-backup.lock").read_text())
        # in hundredths
        return f"{record['pctCplt'] / 100:.0f} %"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def described(backup: Record) -> Record:
    """Return a physical backup's facts: label, type, times in UTC, sizes in bytes."""
    kinds = {"full": "full", "diff": "differential", "incr": "incremental"}
    return {
        "label": backup["label"],
        "type": kinds.get(backup["type"], backup["type"]),
        "started": moment(backup["timestamp"]["start"]),
        "finished": moment(backup["timestamp"]["stop"]),
        "bytes": backup["info"]["size"],
        "stored_bytes": backup["info"]["repository"]["delta"],
        "damaged": bool(backup.get("error")),
    }


def moment(epoch: float) -> str:
    """Return a moment in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
