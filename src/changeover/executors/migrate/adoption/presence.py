"""Look in the catalog for what migrations made: which of it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.executors.migrate.index_probe import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.executors.migrate.session import Connection
    from changeover.migrations.standing import Kind, Made

# What holds of something that is there; an index that queries may not use is none.
THERE: dict[Kind, str] = {
    "table": "to_regclass(named.quoted) IS NOT NULL",
    "index": "EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(named.quoted)"
    " AND indisvalid AND indisready AND indislive)",
    "column": "EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(named.quoted)"
    " AND attname = named.part AND attnum > 0 AND NOT attisdropped)",
    "constraint": "EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass(named.quoted)"
    " AND conname = named.part)",
    "trigger": "EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass(named.quoted)"
    " AND tgname = named.part)",
    "policy": "EXISTS (SELECT FROM pg_policy WHERE polrelid = to_regclass(named.quoted)"
    " AND polname = named.part)",
    "type": "to_regtype(named.quoted) IS NOT NULL",
    "enum value": "EXISTS (SELECT FROM pg_enum WHERE enumtypid = to_regtype(named.quoted)"
    " AND enumlabel = named.part)",
    "function": "EXISTS (SELECT FROM pg_proc WHERE proname = named.name AND CASE named.schema"
    " WHEN '' THEN pg_function_is_visible(oid)"
    " ELSE pronamespace = to_regnamespace(quote_ident(named.schema)) END)",
    "schema": "EXISTS (SELECT FROM pg_namespace WHERE nspname = named.name)",
    "extension": "EXISTS (SELECT FROM pg_extension WHERE extname = named.name)",
}


def missing(connection: Connection, made: Sequence[Made]) -> list[Made]:
    """Return what is not there, in the order it was made."""
    lost: list[Made] = []
    for kind, there in THERE.items():
        asked = [each for each in made if each.kind == kind]
        if asked:
            lost += _missing(connection, asked, there)
    return [each for each in made if each in lost]


def _missing(connection: Connection, asked: list[Made], there: str) -> list[Made]:
    query = f"""
        SELECT named.place
        FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])
            WITH ORDINALITY AS named (quoted, schema, name, part, place)
        WHERE NOT ({there}) ORDER BY named.place
    """  # noqa: S608 - one of the conditions above
    values = (
        [quoted(each.name) for each in asked],
        [each.name.schema for each in asked],
        [each.name.name for each in asked],
        [each.part for each in asked],
    )
    return [asked[place - 1] for (place,) in connection.execute(query.encode(), values)]
