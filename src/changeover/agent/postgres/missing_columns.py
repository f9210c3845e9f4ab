"""Values in columns that another database does not have: no row of it can tell that they are gone."""

# ruff: noqa: S608 - names in statements come quoted from the catalog

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from changeover.agent.postgres import relations
from changeover.agent.postgres.tools import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.agent.postgres.session import Record, Session

# What nobody wrote: a generated value, a default that is a constant, and what rows from before the
# column was added were given without being written.
UNWRITTEN = """
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
pg_get_expr(d.adbin, d.adrelid) AS expression, (a.attmissingval::text::text[])[1] AS missing
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = {table}::regclass AND a.attgenerated = '' AND a.attname IN ({names})
ORDER BY a.attnum"""
# Types that are not the server's own have a schema in their name: reading a constant as one of a domain,
# or casting its value to text, may run the app's own code, and it would as a superuser.
CAST = r"[\w \[\](),]+"
CONSTANT = re.compile(rf"(?:'(?:[^']|'')*'|-?[0-9.]+|true|false)(?:::{CAST})?")


def filled(session: Session, table: str, columns: Sequence[str]) -> dict[str, int]:
    """Return in how many rows each of these columns holds a value that is not its default.

    Args:
        session: Where to ask.
        table: Its quoted name.
        columns: Their names; one in which nothing was written is not in the answer.
    """
    if not columns:
        return {}
    names = ", ".join(map(literal, columns))
    known = session.rows(UNWRITTEN.format(table=literal(relations.relation(table)), names=names))
    counts = [f"count(*) FILTER (WHERE {_written(column)})" for column in known]
    if not counts:
        return {}
    found = session.value(
        f"SELECT json_build_array({', '.join(counts)}) AS n FROM {relations.source(table)} r"
    )
    return {column["name"]: number for column, number in zip(known, found, strict=True) if number}


def _written(column: Record) -> str:
    """Return the SQL that tells whether a row's value was written; types need not know equality."""
    value = f"r.{identifier(column['name'])}"
    told, shown = [f"{value} IS NOT NULL"], f"format('%s', {value})"
    if column["missing"] is not None:
        told.append(f"{shown} <> {literal(column['missing'])}")
    constant = CONSTANT.fullmatch(column["expression"] or "")
    if constant and re.fullmatch(CAST, column["type"]):
        told.append(f"{shown} <> format('%s', ({column['expression']})::{column['type']})")
    return " AND ".join(told)
