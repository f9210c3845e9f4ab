"""One SELECT as a declaration writes it, without its semicolon, and what it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import postgast

from changeover.migrations.effects import effect_of
from changeover.migrations.names import relation

if TYPE_CHECKING:
    from changeover.migrations.records import Relation


class NoQuery(ValueError):
    """A text is not one SELECT."""


class Query(NamedTuple):
    """One SELECT.

    Args:
        sql: Its text.
        tables: The relations that it names.
    """

    sql: str
    tables: tuple[Relation, ...]


def one_select(text: str) -> Query:
    """Return the one query of a text.

    Raises:
        NoQuery: It is not SQL, another statement, or not exactly one; it says which.
    """
    try:
        parsed = postgast.parse(text)
    except postgast.PgQueryError as error:
        raise NoQuery(f"is not SQL: {error.message}") from error
    kinds = [effect_of(each.stmt).kind for each in parsed.stmts]
    if kinds != ["SELECT"]:
        raise NoQuery(f"must be one SELECT, and it is {', '.join(kinds) or 'none'}")
    types = {type(node).__name__ for _, node in postgast.walk(parsed)}
    if "LockingClause" in types:
        raise NoQuery("must be one SELECT, and it locks what it reads")
    named = (node for _, node in postgast.walk(parsed) if type(node).__name__ == "RangeVar")
    (only,) = parsed.stmts
    data = text.encode()[only.stmt_location :][: only.stmt_len or None]
    return Query(data.decode().strip(), tuple(relation(node) for node in named))
