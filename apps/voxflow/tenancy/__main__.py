"""Serve tenants."""

from __future__ import annotations

from voxflow.database import Database
from voxflow.serving import serve
from voxflow.settings import Settings

from .server import Service, make
from .settings import Terms


def main() -> None:
    """Serve until SIGTERM."""
    settings = Settings.read()
    service = Service(
        settings=settings, terms=Terms.read(), database=Database(settings), contract=False
    )
    serve(make(service), settings.sockets)


if __name__ == "__main__":
    main()
