"""Serve everybody."""

from __future__ import annotations

from voxflow.database import Database
from voxflow.serving import serve
from voxflow.settings import Settings

from .server import make


def main() -> None:
    """Serve until SIGTERM."""
    settings = Settings.read()
    serve(make(settings, Database(settings)), settings.sockets)


if __name__ == "__main__":
    main()
