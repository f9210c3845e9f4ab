"""What a restore answers, as a record and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from changeover.counts import counted
from changeover.executors.backup.records import columns_held, slots_stay

if TYPE_CHECKING:
    from collections.abc import Mapping

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A backup became the live database.

    Args:
        backup: Its id.
        kept: The database that was live, by the name it has now.
        refused_seconds: For how long connections were refused; ``None`` when an earlier run did it, or
            when nobody saw.
        rows_lost: Rows that the kept database has and the live one has not; ``None`` where they
            could not be counted.
        lost: The same by table: ``rows_before``, ``rows_after``, ``lost``.
        warm: Whether a database that was restored earlier could be used.
        resumed: Whether an interrupted run was finished by this one.
        at: When it was begun, UTC.
        uncounted: Why rows could not be counted.
        subscriptions: The subscriptions of the kept database, which the restored one does not have.
        slots: The logical replication slots that stay with the kept database.
        earlier: What a restore to another backup left, that was cut off and finished before this one.
    """

    backup: str
    kept: str | None
    refused_seconds: float | None
    rows_lost: int | None
    lost: Mapping[str, Mapping[str, Any]] | None
    warm: bool
    resumed: bool
    at: str = ""
    uncounted: str = ""
    subscriptions: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    earlier: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, answer: Event) -> Self:
        """Read the agent's answer."""
        found = {name: answer[name] for name in cls.__slots__ if name in answer}
        listed = {name: tuple(answer.get(name, ())) for name in ("subscriptions", "slots")}
        return cls(**(found | listed))

    @property
    def happened(self) -> str:
        """Say what was done, and for how long connections were refused."""
        if self.resumed:
            return (
                f"{self.backup} was made live at {self.at} by a run that was cut off; this one"
                " finished it, and exchanged nothing again"
            )
        refused = self.refused_seconds
        return f"{self.backup} is live" + (
            "" if refused is None else f", connections refused {refused:.2f} s"
        )

    @property
    def left(self) -> str:
        """Say what is left behind: the rows that a price gives before, counted."""
        if self.kept is None:
            return "there was no database before"
        if self.lost is None or self.rows_lost is None:
            return (
                f"the rows that {self.backup} does not have are kept in {self.kept}, and could not be"
                f" counted: {self.uncounted.strip()}; changeover db diff compares the two"
            )
        rows = counted(
            self.rows_lost,
            f"row that {self.backup} does not have is",
            f"rows that {self.backup} does not have are",
        )
        columns = columns_held(self.lost)
        said = f", and so are the values of columns that it does not have: {columns}"
        return f"{rows} kept in {self.kept}{said if columns else ''}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Say what else a person has to know, a sentence each."""
        said = []
        if self.earlier:
            earlier = Restored.read({**self.earlier, "resumed": True})
            said.append(f"{earlier.happened}, before this restore; {earlier.left}")
        if self.subscriptions:
            names = ", ".join(self.subscriptions)
            said.append(
                f"what {self.kept} subscribes to still goes there, and nothing of it here: {names}"
            )
        if self.slots:
            said.append(slots_stay(self.slots, str(self.kept)))
        return tuple(said)
