"""Roles that a database's content names: they belong to the cluster, and no dump of a database brings them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from changeover.agent.postgres.session import Record, Session

NAMED = """
SELECT DISTINCT r.rolname AS name FROM pg_shdepend s
JOIN pg_roles r ON s.refclassid = 'pg_authid'::regclass AND r.oid = s.refobjid
WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1"""
ALL = "SELECT rolname AS name FROM pg_roles"


def named(session: Session) -> list[str]:
    """Return the roles that own something in this database, or have a grant or a policy there."""
    return [str(row["name"]) for row in session.rows(NAMED)]


def require(session: Session, manifest: Record) -> None:
    """Refuse to restore a backup that names roles which are gone.

    Raises:
        ActionError: ``roles-missing`` naming all of them.
    """
    settings = manifest["settings"]
    given = [each["role"] for each in (*settings["grants"], *settings["settings"])]
    wanted = {settings["owner"], *filter(None, given), *manifest.get("roles", [])}
    missing = sorted(wanted - {str(row["name"]) for row in session.rows(ALL)})
    if missing:
        names = ", ".join(missing)
        message = f"the backup names roles that this server does not have: {names}"
        raise ActionError("roles-missing", message, roles=missing)
