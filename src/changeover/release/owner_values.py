"""What an app's own migrator finds in its environment: the release's values, with the owner role's access."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.release.values import POSTGRESQL_PORT, database_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.inventory import Environment
    from changeover.release.app import DatabaseUse
    from changeover.release.model import Release

URL = "DATABASE_URL"
# Its sessions are told apart by this name, where its driver reads the variable.
APPLICATION = "changeover migrator"


def owner_values(
    use: DatabaseUse,
    release: Release,
    environment: Environment,
    app: str,
    values: Mapping[str, str],
    name: str,
) -> dict[str, str]:
    """Return the environment of a migrator: secret.

    Every variable that the release has ``from: database`` leads to ``name`` as the owner role, and
    so do ``DATABASE_URL``, whatever the release has it from, and the variables that libpq reads.

    Args:
        use: The app's database.
        release: The release whose migrator it is.
        environment: Where it runs.
        app: The app.
        values: The release's own values on the host, in clear.
        name: The database: the live one, or a clone of it.
    """
    password = environment.database_password(app, "owner")
    url = database_url(use, environment, name, use.owner, password).reveal()
    given = release.environment.variables.items()
    urls = {key: url for key, variable in given if variable.source == "database"}
    timeout = release.migrator.lock_timeout_seconds if release.migrator else 0
    reach = {
        "PGHOST": environment.database_address,
        "PGPORT": str(POSTGRESQL_PORT),
        "PGUSER": use.owner,
        "PGPASSWORD": password.reveal(),
        "PGDATABASE": name,
        "PGAPPNAME": APPLICATION,
        "PGOPTIONS": f"-c lock_timeout={timeout}s",
        **({"PGSSLMODE": use.sslmode} if use.sslmode else {}),
    }
    return {**values, URL: url, **urls, **reach}
