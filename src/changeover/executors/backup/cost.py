"""What going back to a backup would cost, as records and in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from changeover.counts import counted
from changeover.executors.backup.records import slots_stay

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Event = dict[str, Any]

MEGABYTE = 1_000_000
FIGURES = ("backup", "since", "left_at_most", "back_at_most", "rows_written", "wal_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePrice:
    """One table then and now.

    Args:
        table: Its quoted name.
        rows_then: Its rows in the backup; ``None`` where it has no such table.
        rows_now: Its rows in the live database; likewise.
        left_at_most: Rows inserted or changed since, each counted once: what a swap would leave
            behind. ``None`` where it cannot be told.
        back_at_most: Rows deleted or changed since, that would come back as they were; likewise.
        inserted: The server's count of inserts since, ``None`` where it has none; a row counts as
            often as it was written.
        updated: Likewise of updates.
        deleted: Likewise of deletes.
        filled: In how many rows columns hold values that the backup does not have, by column; ``None``
            where there is none.
    """

    table: str
    rows_then: int | None
    rows_now: int | None
    left_at_most: int | None
    back_at_most: int | None
    inserted: int | None
    updated: int | None
    deleted: int | None
    filled: Mapping[str, int] | None

    def words(self) -> str:
        """Return the table in one line."""
        then, now = (
            "no table" if rows is None else counted(rows, "row")
            for rows in (self.rows_then, self.rows_now)
        )
        said = f"{self.table}: {then} then, {now} now"
        if self.left_at_most is not None:
            said += f"; {self.left_at_most} left behind, {self.back_at_most} back as they were"
        if self.filled:
            columns = ", ".join(f"{name} in {counted(n, 'row')}" for name, n in self.filled.items())
            said += f"; holds values that the backup has no column for: {columns}"
        return f"{said}{self._writes()}"

    def _writes(self) -> str:
        counts = {"insert": self.inserted, "update": self.updated, "delete": self.deleted}
        known = [counted(count, noun) for noun, count in counts.items() if count]
        return f" (writes: {', '.join(known)})" if known else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What going back to a backup would lose.

    Args:
        backup: Its id.
        since: When its snapshot was taken, UTC.
        left_at_most: Rows that the backup does not have and the live database has, each counted
            once: what the swap counts when it leaves them behind, or more. ``None`` where the live
            database is not the one that the backup is of.
        back_at_most: Rows deleted or changed since, that would come back as they were; likewise.
        rows_written: Rows inserted, changed or deleted since by the server's counts, at least; a
            row counts as often as it was written.
        wal_bytes: Log written by the whole server since, less what the proof wrote; ``None`` when
            the backup is another cluster's.
        tables: The tables that are not as they were.
        slots: The slots of logical replication that would stay with the database that is left.
    """

    backup: str
    since: str
    left_at_most: int | None
    back_at_most: int | None
    rows_written: int
    wal_bytes: int | None
    tables: tuple[TablePrice, ...]
    slots: tuple[str, ...] = ()

    @classmethod
    def read(cls, answer: Event) -> Self:
        """Read the agent's answer."""
        names = TablePrice.__slots__[1:]
        tables = tuple(
            TablePrice(table=table, **{name: facts.get(name) for name in names})
            for table, facts in answer["tables"].items()
        )
        slots = tuple(answer.get("slots", ()))
        return cls(**{name: answer[name] for name in FIGURES}, tables=tables, slots=slots)

    def as_json(self) -> Event:
        """Return the price as plain JSON."""
        return asdict(self)

    def words(self) -> str:
        """Return what would be left behind, what would come back, and what was written."""
        lines = [*self._lines()] if self.tables else [f"nothing was written since {self.since}"]
        if self.slots:
            lines.append(f"warning: {slots_stay(self.slots, 'the database that is left')}")
        return "\n".join(lines)

    def _lines(self) -> Iterator[str]:
        if self.left_at_most is None or self.back_at_most is None:
            yield (
                f"rows were written since {self.since} that {self.backup} does not have and that going"
                " back leaves behind; how many is only known when the swap has counted them"
            )
        else:
            left = counted(self.left_at_most, "row was", "rows were")
            back = counted(self.back_at_most, "row comes", "rows come")
            yield (
                f"since {self.since} at most {left} inserted or changed that {self.backup} does not have:"
                " going back leaves them behind"
            )
            yield f"at most {back} back as they were, deleted or changed since"
        if self.wal_bytes is not None:
            yield f"{self.wal_bytes / MEGABYTE:.1f} MB of log were written since, by the whole server"
        for table in self.tables:
            yield f"  {table.words()}"
        yield "rows are counted once however often they were written; writes are counted each time"
