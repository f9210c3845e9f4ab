"""Find in migration files what hurts a database in use. Pure: no server is asked.

A table that the same release creates has no readers yet, so statements on it are not judged.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from changeover.migrations import coexist_file, losses, narrowing, statement_hazards
from changeover.migrations.records import Relation
from changeover.migrations.statement_hazards import VIEWS_GONE, Hazard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from changeover.migrations.records import Effect, Migration, Statement

Severity = Literal["error", "warning", "note"]
BREAKING = {"breaks-old-version", "not-null-without-default"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A hazard at its place.

    Args:
        rule: Stable name, such as ``index-not-concurrent``.
        severity: ``error`` shuts users out or breaks the old version; ``warning`` may; ``note`` is
            advice.
        path: The file.
        line: The line the statement begins on.
        message: What happens.
        hint: What to write instead.
    """

    rule: str
    severity: Severity
    path: str
    line: int
    message: str
    hint: str

    def as_event(self) -> dict[str, object]:
        """Return it JSON-ready."""
        return {"type": "finding", **dataclasses.asdict(self)}

    @property
    def text(self) -> str:
        """Return it as one line for a person."""
        return (
            f"{self.path}:{self.line}: {self.severity}: {self.message} [{self.rule}]; {self.hint}"
        )


def lint(migrations: Iterable[Migration]) -> tuple[Finding, ...]:
    """Return what is dangerous in these migrations of one release, in their order."""
    known = tuple(migrations)
    forbidden = {(each.id, of.number): what for each, of, what, _ in narrowing.statements(known)}
    unproved = coexist_file.unproved(known)
    taken = {(each.id, of.number): what for each, of, what in losses.statements(known)}
    found: list[Finding] = []
    for migration, statement, hurts in _judged(known):
        found += hurts
        if statement is None or any(each.rule in BREAKING for each in hurts):
            continue
        place = (migration.id, statement.number)
        if place in forbidden:
            hazard = _forbids(forbidden[place], migration, unproved)
            found.append(_finding(hazard, migration, statement.line))
        elif place in taken:
            found.append(_finding(_takes(taken[place]), migration, statement.line))
    return tuple(found)


def breaking(migrations: Iterable[Migration]) -> frozenset[str]:
    """Return the ids of those that the old version cannot live with, before contract."""
    known = tuple(migrations)
    return taking_away(known) | narrowing.of(known)


def taking_away(migrations: Iterable[Migration]) -> frozenset[str]:
    """Return the ids of those that the old version cannot live with whatever it writes, before contract."""
    return frozenset(
        migration.id
        for migration, _, hurts in _judged(migrations)
        if any(each.rule in BREAKING for each in hurts)
    )


def _judged(
    migrations: Iterable[Migration],
) -> Iterator[tuple[Migration, Statement | None, list[Finding]]]:
    """Yield what is found of each file, and then of each of its statements."""
    fresh: set[Relation] = set()
    for migration in migrations:
        yield migration, None, list(_of_file(migration))
        for statement in migration.statements:
            met = [target.relation for target in statement.effect.targets]
            own = bool(met) and all(relation in fresh for relation in met)
            yield (
                migration,
                statement,
                [] if own else list(_of_statement(migration, statement, fresh)),
            )
            fresh |= _tables_made(statement.effect)


def _forbids(what: str, migration: Migration, unproved: Mapping[str, tuple[str, ...]]) -> Hazard:
    name = coexist_file.name(migration)
    message = f"{what} may forbid what the old version writes"
    severity: Severity = "warning"
    missing = unproved.get(migration.id)
    if missing is None:
        message += ": a rollback has to undo it first"
        hint = f"move it to contract/, or write a revert or {name}, which the rehearsal proves"
    elif missing:
        message += (
            f": a rollback has to undo it first, as {name} writes nothing to {', '.join(missing)}"
        )
        hint = "have it write there what the old version writes, with INSERT, UPDATE or MERGE"
    else:
        severity = "note"
        message += (
            f": the rehearsal proves that it may, by {name}, and a rollback need not undo it then"
        )
        hint = "have it write all that the old version writes there"
    return Hazard(rule="forbids-old-writes", severity=severity, message=message, hint=hint)


def _takes(what: str) -> Hazard:
    return Hazard(
        rule="takes-user-data",
        severity="warning",
        message=f"{what}: what users have written may be gone or overwritten afterwards, and no"
        " rename brings it back",
        hint="keep what was there, and write a revert that brings it back; otherwise the way back"
        " is the backup",
    )


def _tables_made(effect: Effect) -> set[Relation]:
    if not effect.kind.startswith(("CREATE TABLE", "CREATE MATERIALIZED", "SELECT INTO")):
        return set()
    made = set(effect.creates)
    # `public.users` and `users` are the same table unless somebody moved the search path.
    made |= {Relation(name=item.name) for item in made if item.schema == "public"}
    return made | {Relation(name=item.name, schema="public") for item in made if not item.schema}


def _of_statement(
    migration: Migration, statement: Statement, fresh: set[Relation]
) -> Iterator[Finding]:
    batched = migration.batch is not None
    for hazard in statement_hazards.of(statement, migration.phase, batched=batched):
        if hazard.relation in fresh or _made_anew(hazard, migration, statement):
            continue
        yield _finding(hazard, migration, statement.line)


def _made_anew(hazard: Hazard, migration: Migration, statement: Statement) -> bool:
    """Tell whether a view that is dropped comes back in the same file: nobody misses it."""
    if statement.effect.kind not in VIEWS_GONE:
        return False
    later = migration.statements[statement.number :]
    return any(hazard.relation in each.effect.creates for each in later)


def _finding(hazard: Hazard, migration: Migration, line: int) -> Finding:
    return Finding(
        rule=hazard.rule,
        severity=hazard.severity,
        path=str(migration.path),
        line=line,
        message=hazard.message,
        hint=hazard.hint,
    )


def _of_file(migration: Migration) -> Iterator[Finding]:
    alone = [item for item in migration.statements if not item.effect.transactional]
    if alone and len(alone) < len(migration.statements):
        yield Finding(
            rule="mixed-transactions",
            severity="warning",
            path=str(migration.path),
            line=alone[0].line,
            message=f"{alone[0].effect.kind} cannot share a transaction with the file's other"
            " statements: when one of them fails, those before it stay",
            hint="give it a file of its own",
        )
    if not migration.verify and not migration.checks:
        yield Finding(
            rule="verify-missing",
            severity="warning",
            path=str(migration.path),
            line=1,
            message="nothing proves its result before it is committed",
            hint=f"write {migration.path.with_suffix('.verify.sql').name}",
        )
    if not migration.revert and migration.phase != "contract":
        yield Finding(
            rule="revert-missing",
            severity="note",
            path=str(migration.path),
            line=1,
            message="it cannot be undone without a backup",
            hint=f"write {migration.path.with_suffix('.revert.sql').name} if undoing loses nothing",
        )
