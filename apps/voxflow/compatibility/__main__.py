"""Serve tenants, and legacy clients beside them."""

from __future__ import annotations

from functools import partial

from tenancy.server import Service, make
from tenancy.settings import Terms
from voxflow.database import Database
from voxflow.serving import serve
from voxflow.settings import Settings

from .former import Former
from .migration import Migration
from .notice import Notice


def main() -> None:
    """Serve until SIGTERM."""
    settings = Settings.read()
    service = Service(
        settings=settings, terms=Terms.read(), database=Database(settings), contract=True
    )
    notice = Notice.read()
    moving = Migration(service.database, notice)
    serve(make(service, partial(Former, service, notice), [moving]), settings.sockets)


if __name__ == "__main__":
    main()
