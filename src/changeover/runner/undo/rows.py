"""Whether the rows that are live let migrations be undone: a rehearsal has only seen those from before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from changeover import verdict
from changeover.executors import migrate
from changeover.migrations.tightening import Chain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from changeover.database import Database
    from changeover.executors.migrate.ledger import MigrationRow
    from changeover.migrations.records import MigrationFolder
    from changeover.migrations.tightening import Demand
    from changeover.verdict import MigrationFact


def asked(
    place: Database,
    ran: Iterable[MigrationRow],
    facts: Sequence[MigrationFact],
    folders: Iterable[MigrationFolder],
) -> tuple[MigrationFact, ...]:
    """Return what a verdict has to know of migrations that ran, with what the live rows say of undoing them.

    They are asked where everything else speaks for undoing.
    """
    undone = verdict.in_the_way(facts)
    if not undone or verdict.undoing(undone).kind != "revert":
        return tuple(facts)
    half = any(row.state == "reverting" for row in ran)
    broken = _broken(place, undone, folders, half=half)
    return tuple(replace(fact, broken=broken.get(fact.id, "")) for fact in facts)


def _broken(
    place: Database,
    undone: Sequence[MigrationFact],
    folders: Iterable[MigrationFolder],
    *,
    half: bool,
) -> dict[str, str]:
    """Return by id what live rows break of what a revert brings back.

    Where undoing was cut off ``half`` way, a table may have what a query takes for still to come: that
    this one cannot be asked then speaks against nothing.
    """
    reverts = {each.id: each.revert for folder in folders for each in folder.migrations}
    chain = Chain()
    demands = [
        (fact.id, demand) for fact in reversed(undone) for demand in chain.then(reverts[fact.id])
    ]
    if not demands:
        return {}
    found: dict[str, str] = {}
    answers = migrate.broken(place, [demand for _, demand in demands])
    for (name, demand), answer in zip(demands, answers, strict=True):
        if (said := _words(demand, answer)) and not (half and isinstance(answer, str)):
            found[name] = "; ".join(each for each in (found.get(name), said) if each)
    return found


def _words(demand: Demand, answer: int | str | None) -> str:
    """Say what speaks against undoing; empty where nothing does, or where nobody answered in time."""
    if isinstance(answer, str):
        return f"whether rows break {demand.what} cannot be asked: {answer}"
    if not answer:
        return ""
    return f"{answer} {'row breaks' if answer == 1 else 'rows break'} {demand.what}"
