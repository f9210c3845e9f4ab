"""What migration guides tell people to type, run as they say."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.postgres.own_server import BINARIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.postgres.backup.conftest import Site


class Naive:
    """A person with the documented commands."""

    def __init__(self, site: Site) -> None:
        self.site = site
        server = site.shop.server
        self._reach = ["-h", str(server.directory), "-p", str(server.port), "-U", "postgres"]
        self.plain = site.root / "backup.sql"

    def run(self, tool: str, *words: object) -> subprocess.CompletedProcess[str]:
        command: Sequence[str] = [str(BINARIES / tool), *self._reach, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def dump(self, *words: object) -> None:
        assert self.run("pg_dump", *words, self.site.shop.name).returncode == 0

    def into(self, database: str, content: str, *words: object) -> int:
        self.site.shop.server.run(f"DROP DATABASE IF EXISTS {database}")
        self.site.shop.server.run(f"CREATE DATABASE {database}")
        part = self.site.root / "part.sql"
        part.write_text(content)
        return self.run("psql", "-q", "-d", database, "-f", part, *words).returncode
