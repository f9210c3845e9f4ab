"""About how much a restore would leave behind, by the server's counts of writes: figures and words. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from changeover import duration
from changeover.counts import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

MEGABYTE = 1_000_000
HOUR = 3600
TOLD_TABLES = 5
SHORTEST = 600.0  # seconds that writes have to be counted over to tell of an hour
FIGURES = ("backup", "since", "seconds", "wal_bytes", "rows_written", "rows_deleted")
UNCOUNTED = {
    "another-cluster": "{backup} is of another cluster",
    "another-database": (
        "the live database is not the one that {backup} was taken from: it was restored since"
    ),
    "recovered": "{backup} was recovered to a moment that the server did not count from",
    "counts-reset": (
        "the server has forgotten what it counted before {backup}: its statistics were reset, or it crashed"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableWrites:
    """What was written to one table since a backup, each time counted.

    Args:
        table: Its quoted name.
        inserted: Rows inserted.
        updated: Rows changed.
        deleted: Rows deleted, and those of a table that is gone.
        stands: ``there``: both have it; ``new``: the backup does not; ``gone``: only the backup does.
    """

    table: str
    inserted: int
    updated: int
    deleted: int
    stands: str

    def words(self) -> str:
        """Return the table in one line."""
        if self.stands == "gone":
            return f"{self.table}: gone, with {counted(self.deleted, 'row')}"
        counts = {"inserted": self.inserted, "changed": self.updated, "deleted": self.deleted}
        known = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        return f"{self.table}: {known}{' (made since)' if self.stands == 'new' else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What was written since a backup, as far as the server has counted it.

    Args:
        backup: Its id; ``None`` where there is none to count from, or nobody could be asked.
        since: When its snapshot was taken, UTC.
        seconds: How long ago that is.
        wal_bytes: Log written by the whole server since; ``None`` where that cannot be told.
        rows_written: Inserts and updates since, each time counted, those of migrations among them: at
            least as many as the rows that a restore would leave behind. ``None`` where not known.
        rows_deleted: Rows deleted since, that a restore would bring back; likewise.
        tables: The tables that were written.
        unknown: Why there is no count of rows; empty where there is one.
    """

    backup: str | None = None
    since: str = ""
    seconds: float = 0.0
    wal_bytes: int | None = None
    rows_written: int | None = None
    rows_deleted: int | None = None
    tables: tuple[TableWrites, ...] = ()
    unknown: str = ""

    @classmethod
    def read(cls, answer: dict[str, Any]) -> Self:
        """Read the agent's answer."""
        why = str(answer["uncounted"])
        said = UNCOUNTED.get(why, why).format(backup=answer["backup"])
        tables = tuple(
            TableWrites(
                table=name,
                stands=str(facts["is"]),
                **{kind: int(facts[kind]) for kind in ("inserted", "updated", "deleted")},
            )
            for name, facts in answer["tables"].items()
        )
        return cls(**{name: answer[name] for name in FIGURES}, tables=tables, unknown=said)

    @property
    def rows_an_hour(self) -> int | None:
        """What ``rows_written`` comes to in an hour; ``None`` where it was counted too shortly."""
        return self._an_hour(self.rows_written)

    @property
    def wal_bytes_an_hour(self) -> int | None:
        """What ``wal_bytes`` comes to in an hour; likewise."""
        return self._an_hour(self.wal_bytes)

    def _an_hour(self, count: int | None) -> int | None:
        if count is None or self.seconds < SHORTEST:
            return None
        return round(count * HOUR / self.seconds)

    def as_json(self) -> dict[str, Any]:
        """Return the figures as plain JSON."""
        an_hour = {
            "rows_an_hour": self.rows_an_hour,
            "wal_bytes_an_hour": self.wal_bytes_an_hour,
        }
        return {**asdict(self), **an_hour}

    def ahead(self, maker: str) -> tuple[str, ...]:
        """Say, before a backup is made, what going back to it will come to leave behind.

        Args:
            maker: What makes it.
        """
        begins = f"a restore leaves behind what is written after the backup that {maker} makes"
        if self.unknown:
            lost = f"{begins}; how many rows that comes to is not known: {self.unknown}"
            return (lost, *self._log_ahead())
        return (
            begins,
            f"in the {duration.words(self.seconds)} since {self.backup} the server counted {self._rows()}, migrations' own among them",
            *(f"  {line}" for line in self.by_table()),
            *self._log_ahead(),
            self._hour_ahead(),
        )

    def _log_ahead(self) -> Iterator[str]:
        if self.wal_bytes is not None:
            said = f"{self._log()} since {self.backup}, by the whole server"
            hour = self.wal_bytes_an_hour
            yield said if hour is None else f"{said}: about {_megabytes(hour)} an hour"

    def _hour_ahead(self) -> str:
        if self.rows_an_hour is None:
            return "that is too short a time to tell what it comes to in an hour"
        return f"so an hour later a restore would leave about {counted(self.rows_an_hour, 'row')} behind"

    def behind(self) -> str:
        """Say what going back to the backup would leave behind now."""
        if self.backup is None:
            return f"what a restore would leave behind is not known: {self.unknown}"
        log = "" if self.wal_bytes is None else f"; {self._log()} by the whole server"
        if self.unknown:
            return (
                f"going back to {self.backup} leaves behind what was written since {self.since}; how"
                f" many rows is not known: {self.unknown}{log}"
            )
        span = duration.words(self.seconds)
        back = (
            f", and brings {counted(self.rows_deleted, 'deleted one')} back"
            if self.rows_deleted
            else ""
        )
        return (
            f"going back to {self.backup} ({span} old) leaves at most about {counted(self.rows_written or 0, 'row')}"
            f" behind, inserted or changed since by the server's counts, migrations' own among them{back}{log}"
        )

    def _rows(self) -> str:
        written, deleted = self.rows_written or 0, self.rows_deleted or 0
        said = f"{counted(written, 'row')} inserted or changed"
        return f"{said}, {counted(deleted, 'row')} deleted" if deleted else said

    def _log(self) -> str:
        return f"{_megabytes(self.wal_bytes or 0)} of log were written"

    def by_table(self) -> Iterator[str]:
        """Give a line for each table, the most written first."""
        order = sorted(
            self.tables, key=lambda one: (-(one.inserted + one.updated + one.deleted), one.table)
        )
        yield from (table.words() for table in order[:TOLD_TABLES])
        if more := order[TOLD_TABLES:]:
            yield f"and {counted(len(more), 'more table')}"


def _megabytes(number: int) -> str:
    return f"{number / MEGABYTE:.1f} MB"
