"""A live server whose log is archived into a directory, and what recovers from there as pgBackRest would.

The real one runs on the lab's hosts. This one copies with the server's own program and turns the
words that pgBackRest gets into the settings that they stand for, so that what PostgreSQL makes of
them is seen in seconds.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.postgres.own_server import as_postgres

from changeover.agent.physical.pgbackrest import Archive
from changeover.agent.postgres.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.own_server import Server

SEGMENT = "SELECT pg_walfile_name(pg_switch_wal()) AS name"
WORDS = {"--target-exclusive": "recovery_target_inclusive = off"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Archived(Archive):
    """An archive of a test's own server, in its directory.

    Args:
        live: The server.
    """

    live: Server

    @property
    def log(self) -> Path:
        return self.live.directory / "archive"

    @property
    def base(self) -> Path:
        return self.live.directory / "base"

    def back_up(self) -> None:
        """Take the one physical backup that there is."""
        shutil.rmtree(self.base, ignore_errors=True)
        reach = ("-h", self.live.directory, "-p", str(self.live.port), "-U", "postgres")
        words = ("--checkpoint=fast", "--no-sync", "--wal-method=none")
        program = self.live.binaries / "pg_basebackup"
        command = as_postgres(program, "-D", self.base, *reach, *words)
        subprocess.run(command, check=True, cwd="/", capture_output=True)

    def info(self) -> dict[str, Any]:
        """Tell of the backup, as if it had been taken long ago."""
        size = sum(path.stat().st_size for path in self.base.rglob("*") if path.is_file())
        times, places = {"start": 0, "stop": 1}, {"start": "0/1", "stop": "0/1"}
        label = (self.base / "backup_label").read_text()
        told = {
            "archive": {"start": label.partition("(file ")[2].partition(")")[0]},
            "timestamp": times,
            "lsn": places,
            "info": {"size": size, "repository": {"delta": size}},
        }
        return {"backup": [{"label": "base", "type": "full", **told}]}

    def run(self, *words: str, seconds: float = 0, far: Callable[[], str] = str) -> str:
        """See the log arrive, or copy the backup back with what is to be recovered to."""
        del seconds, far
        if words[0] == "check":
            with Session(self.server, "postgres") as session:
                wanted = self.log / str(session.value(SEGMENT))
            while not wanted.exists():
                time.sleep(0.05)
            return ""
        if words[0] == "repo-ls":
            files = {path.name: {"time": path.stat().st_mtime} for path in self.log.iterdir()}
            return json.dumps(files)
        data = Path(_value(words, "--pg1-path"))
        subprocess.run(as_postgres("cp", "-a", self.base, data), check=True)
        (data / "recovery.signal").touch()
        kind = _value(words, "--type")
        settings = [
            f"restore_command = 'cp {self.log}/%f %p'",
            f"recovery_target_{kind} = '{_value(words, '--target')}'",
            f"recovery_target_action = '{_value(words, '--target-action')}'",
            *(WORDS[word] for word in words if word in WORDS),
        ]
        with (data / "postgresql.auto.conf").open("a") as file:
            file.write("\n".join([*settings, ""]))
        return ""


def _value(words: tuple[str, ...], name: str) -> str:
    (found,) = (word.removeprefix(f"{name}=") for word in words if word.startswith(f"{name}="))
    return found
