"""What the environment says of this app."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An account that the environment asks for.

    Args:
        email: What they sign in by.
        password: What they sign in with.
    """

    email: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment says to every version.

    Args:
        database: The address of the database.
        sessions: How many sessions of it one process keeps at the most.
        secret: What tokens are signed with.
        token_seconds: How long a token lasts.
        smoke: Whom smoke checks sign in as.
        sockets: The directory to listen in.
        version: The release.
        colour: The build of it.
    """

    database: str
    sessions: int
    secret: str
    token_seconds: int
    smoke: Person | None
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
            token_seconds=int(os.environ.get("TOKEN_SECONDS", "86400")),
            smoke=person("SMOKE"),
            sockets=Path(os.environ["SOCKET_DIRECTORY"]),
            version=os.environ["RELEASE_VERSION"],
            colour=os.environ.get("RELEASE_COLOUR", ""),
        )


def person(name: str) -> Person | None:
    """Return the account that ``<name>_EMAIL`` and ``<name>_PASSWORD`` are of, where both are set."""
    email, password = os.environ.get(f"{name}_EMAIL"), os.environ.get(f"{name}_PASSWORD")
    return Person(email=email, password=password) if email and password else None
