"""The keys that a backfill walks: fit for it or not, how many there are, and which come next."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from changeover.errors import InvalidInput
from changeover.executors.migrate.index_probe import quoted
from changeover.executors.migrate.session import row

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.executors.migrate.session import Connection
    from changeover.migrations.records import Batch

FITNESS = """
    SELECT known.attnotnull, EXISTS (
        SELECT FROM pg_index AS index WHERE index.indrelid = known.attrelid AND index.indisunique
            AND index.indisvalid AND index.indpred IS NULL AND index.indnkeyatts = 1
            AND index.indkey[0] = known.attnum)
    FROM pg_attribute AS known
    WHERE known.attrelid = to_regclass(%s) AND known.attname = %s AND NOT known.attisdropped
"""


class KeyUnusable(InvalidInput):
    """The column that a backfill is to walk by would let it skip rows or read them all each time."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Keys that follow each other.

    Args:
        first: The first of them, as text.
        last: The last of them, as text.
        keys: How many they are.
        ends: Whether no other key came after them when they were read.
    """

    first: str
    last: str
    keys: int
    ends: bool


class Keyset:
    """The keys of a batch declaration, in their order."""

    def __init__(self, batch: Batch) -> None:
        self.table = quoted(batch.table)
        self._batch = batch
        self._key = 'walked."' + batch.key.replace('"', '""') + '"'

    def check(self, connection: Connection, path: Path) -> None:
        """Refuse a column that cannot be walked by.

        Args:
            connection: A session in the database.
            path: The backfill's file.

        Raises:
            KeyUnusable: It is not there, may be null, or has no unique index of its own.
        """
        column = f"{self._batch.table.dotted}.{self._batch.key}"
        found = row(connection, FITNESS, (self.table, self._batch.key))
        if found is None:
            fault = "there is no such column"
        elif not found[0]:
            fault = "it may be null, and rows without a key would be skipped"
        elif not found[1]:
            fault = "it has no valid unique index of its own"
        else:
            return
        raise KeyUnusable(
            f"{path} cannot walk by {column}: {fault}",
            hint="name the table's one-column primary key in its `-- changeover: batch` comment",
        )

    def estimated(self, connection: Connection, after: str | None = None) -> int:
        """Return how many keys the planner expects, or how many beyond ``after``."""
        beyond, values = self._beyond(after)
        query = f"EXPLAIN (FORMAT JSON) SELECT FROM {self.table} AS walked {beyond}"
        found = row(connection, query, values)
        plan: Any = found[0] if found else []
        plan = json.loads(plan) if isinstance(plan, str) else plan
        return int(plan[0]["Plan"]["Plan Rows"])

    def following(self, connection: Connection, after: str | None, size: int) -> Span | None:
        """Return the next ``size`` keys, or what is left of them; None when none is left."""
        beyond, values = self._beyond(after)
        # A bare name after ORDER BY would be the text that is selected, and its order another one.
        keys = f"SELECT {self._key}::text FROM {self.table} AS walked {beyond} ORDER BY {self._key}"  # noqa: S608 - the names come quoted from the release's own file
        found = row(
            connection,
            f"SELECT ({keys} LIMIT 1), ({keys} OFFSET {size - 1} LIMIT 1)",
            values * 2,
        )
        if found is None or found[0] is None:
            return None
        if found[1] is not None:
            return Span(first=found[0], last=found[1], keys=size, ends=False)
        count = f"SELECT count(*) FROM {self.table} AS walked {beyond}"  # noqa: S608 - as above
        rest = row(connection, f"SELECT ({keys} DESC LIMIT 1), ({count})", values * 2)
        # Rows may have gone in between: then what was the first is all that is looked at.
        last, left = rest if rest and rest[0] is not None else (found[0], 1)
        return Span(first=found[0], last=last, keys=left, ends=True)

    def _beyond(self, after: str | None) -> tuple[str, tuple[str, ...]]:
        return ("", ()) if after is None else (f"WHERE {self._key} > %s", (after,))
