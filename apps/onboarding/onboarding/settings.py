"""What the environment says of this app."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment says.

    Args:
        database: The address of the database.
        sessions: How many sessions of it one process keeps at the most.
        secret: What tokens are signed with.
        smoke: The token of smoke checks; empty where there are none.
        sockets: The directory to listen in.
        version: The release.
        colour: The build of it.
    """

    database: str
    sessions: int
    secret: str
    smoke: str
    sockets: Path
    version: str
    colour: str

    @classmethod
    def read(cls) -> Settings:
        """Read them; a missing one ends the process with its name."""
        return cls(
            database=os.environ["DATABASE_URL"],
            sessions=int(os.environ.get("DATABASE_POOL_SIZE", "10")),
            secret=os.environ["JWT_SECRET"],
            smoke=os.environ.get("SMOKE_TOKEN", ""),
            sockets=Path(os.environ["SOCKET_DIRECTORY"]),
            version=os.environ["RELEASE_VERSION"],
            colour=os.environ.get("RELEASE_COLOUR", ""),
        )
