"""The command with which an app migrates its own database, where no SQL files of ours do."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from changeover.release.figures import Declared, PrintableText, written

Table = Annotated[str, written(r"([a-z_][a-z0-9_]*\.)?[a-z_][a-z0-9_]*", "table or schema.table")]
Words = Annotated[tuple[PrintableText, ...], Field(min_length=1)]


class Migrator(Declared):
    """The app's own command, and what tells and takes back what it does.

    Args:
        command: Brings the database to what this release needs; ends with 0 when that is done.
        status: Ends with 0 when nothing is left to migrate, and with anything else when something is.
        undo: Takes back what ``command`` did.
        tables: Its own tables, where it writes down what it ran: whether they are as before does not
            tell whether ``undo`` undoes.
        deadline_seconds: How long each of them may take before it is ended.
        lock_timeout_seconds: How long one of its statements may queue for a lock, others behind it.
    """

    command: Words
    status: Words | None = None
    undo: Words | None = None
    tables: tuple[Table, ...] = ()
    deadline_seconds: Annotated[int, Field(ge=1, le=86400)] = 3600
    lock_timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 5
