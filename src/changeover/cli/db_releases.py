"""The releases of an app that has a database, for the verbs that work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.cli.desk import Desk, context_of, releases_of
from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.release import Release


class NoDatabase(InvalidInput):
    """The app has no database in this environment."""


def releases_with_database(desk: Desk, version: str | None) -> tuple[Mapping[str, Release], str]:
    """Return the app's releases and the one meant, once it is sure that there is a database.

    Raises:
        NoDatabase: There is none in this environment.
    """
    from changeover.runner import database  # noqa: PLC0415 - `--help` does without

    releases, (meant,) = releases_of(desk, version)
    if database.database_host(desk.environment, context_of(desk).declared) is None:
        raise NoDatabase(
            f"{desk.app} has no database in {desk.environment.name}",
            hint="name an app that has one with --app NAME",
        )
    return releases, meant
