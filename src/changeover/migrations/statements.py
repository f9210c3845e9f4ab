"""Split SQL text into statements with PostgreSQL's own parser, and classify each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import postgast

from changeover.errors import InvalidInput
from changeover.migrations.effects import effect_of
from changeover.migrations.records import Statement
from changeover.migrations.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from postgast.pg_query_pb2 import Node


class SqlUnreadable(InvalidInput):
    """A file's text is not SQL that PostgreSQL's parser accepts."""


class StatementRefused(InvalidInput):
    """A statement has no place in a migration file."""


def nodes(text: str, path: Path) -> Iterator[tuple[int, str, Node]]:
    """Yield ``(line, statement text, syntax tree)`` for each statement of ``text``.

    Raises:
        SqlUnreadable: PostgreSQL's parser rejects it; the message says where.
    """
    data = text.encode()
    try:
        parsed = postgast.parse(text)
    except postgast.PgQueryError as error:
        line = text[: max(error.cursorpos - 1, 0)].count("\n") + 1  # characters, not bytes
        raise SqlUnreadable(
            f"{path}:{line} is not SQL: {error.message}",
            hint="write plain SQL; psql's backslash commands and variables are not understood",
        ) from error
    for raw in parsed.stmts:
        start = raw.stmt_location
        end = start + raw.stmt_len if raw.stmt_len else len(data)
        piece = data[start:end]
        start += len(piece) - len(piece.lstrip())
        yield data[:start].count(b"\n") + 1, piece.decode().strip(), raw.stmt


def read(text: str, path: Path) -> tuple[Statement, ...]:
    """Return the statements of a migration's text, in order.

    Raises:
        SqlUnreadable: It is not SQL.
        StatementRefused: A statement may not stand in a migration, such as ``COMMIT``.
    """
    statements = []
    for number, (line, sql, node) in enumerate(nodes(text, path), start=1):
        if reason := refusal(node):
            raise StatementRefused(f"{path}:{line}: {reason.sentence}", hint=reason.hint)
        statements.append(Statement(number=number, line=line, sql=sql, effect=effect_of(node)))
    return tuple(statements)
