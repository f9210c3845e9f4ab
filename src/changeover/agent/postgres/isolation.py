"""What a clone would reach of the world outside: other databases, by wrappers and functions of extensions.

A foreign table of the clone is the very one of the live database. So the wrappers lose their handlers
and the functions their bodies there: whoever asks them is told so. Definitions stay as they were,
because a dump names an extension and nothing in it.
"""

# ruff: noqa: S608 - our own names, and what the catalog quotes

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from changeover.agent.postgres.session import Session

# Extensions whose functions talk to other servers.
REACHING = ("dblink", "http")
REFUSAL = "a rehearsal reaches nothing beyond its clone"
WRAPPERS = """
SELECT format('ALTER FOREIGN DATA WRAPPER %I NO HANDLER', fdwname) AS statement
FROM pg_foreign_data_wrapper WHERE fdwhandler <> 0 ORDER BY 1"""
FUNCTIONS = f"""
SELECT format('CREATE OR REPLACE FUNCTION %I.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', n.nspname, p.proname,
pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
format('BEGIN RAISE EXCEPTION %L; END', '{REFUSAL}: ' || p.proname || ' is not run there')) AS statement
FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE d.deptype = 'e' AND e.extname IN {REACHING} AND p.prokind = 'f' AND l.lanname = 'c'
AND NOT EXISTS (SELECT FROM pg_foreign_data_wrapper w WHERE p.oid IN (w.fdwhandler, w.fdwvalidator))
ORDER BY 1"""


def isolate(inside: Session) -> None:
    """Have nothing that runs in this database reach another one.

    Args:
        inside: A session in the clone, as a superuser, before anybody else enters it.
    """
    functions = [str(row["statement"]) for row in inside.rows(FUNCTIONS)]
    if functions:
        inside.run("CREATE EXTENSION IF NOT EXISTS plpgsql")
    wrappers = [str(row["statement"]) for row in inside.rows(WRAPPERS)]
    for statement in (*wrappers, *functions):
        inside.run(statement)
