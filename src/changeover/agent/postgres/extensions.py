"""Extensions: their versions, and the tables of theirs whose rows no dump holds.

A dump makes an extension anew, in the newest version that is installed, and fills none of its tables
but those that it declares as configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from changeover.agent.postgres.session import Record, Session

VERSIONS = "SELECT extname AS name, extversion AS version FROM pg_extension"
TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) AS name, x.extname AS extension
FROM pg_depend d JOIN pg_extension x ON d.refclassid = 'pg_extension'::regclass AND x.oid = d.refobjid
JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind = 'r'
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE d.deptype = 'e'"""


def versions(session: Session) -> Record:
    """Return the version of every extension, by name."""
    return {row["name"]: row["version"] for row in session.rows(VERSIONS)}


def tables(session: Session) -> dict[str, str]:
    """Return the extension that each table of extensions belongs to, by the table's quoted name."""
    return {row["name"]: row["extension"] for row in session.rows(TABLES)}


def differing(before: Record, after: Record) -> dict[str, list[str | None]]:
    """Return the extensions that have another version, each with the one before and the one after."""
    return {
        name: [before.get(name), after.get(name)]
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }
