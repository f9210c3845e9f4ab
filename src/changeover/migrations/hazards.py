"""Find in migration files what hurts a database in use. Pure: no server is asked.

A table that the same release creates has no readers yet, so statements on it are not judged.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from changeover.migrations import narrowing, statement_hazards
from changeover.migrations.records import Relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from changeover.migrations.records import Effect, Migration, Statement
    from changeover.migrations.statement_hazards import Hazard

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
    """Return what is dangerous in these migrations, in their order."""
    found: list[Finding] = []
    fresh: set[Relation] = set()
    for migration in migrations:
        found += _of_file(migration)
        for statement in migration.statements:
            met = [target.relation for target in statement.effect.targets]
            if not (met and all(relation in fresh for relation in met)):
                found += _of_statement(migration, statement, fresh)
            fresh |= _tables_made(statement.effect)
    return tuple(found)


def breaking(migrations: Iterable[Migration]) -> frozenset[str]:
    """Return the ids of those that the old version cannot live with, before contract."""
    known = tuple(migrations)
    paths = {each.path for each in lint(known) if each.rule in BREAKING}
    found = frozenset(each.id for each in known if str(each.path) in paths)
    return found | narrowing.of(known)


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
    for hazard in statement_hazards.of(statement, migration.phase):
        if hazard.relation in fresh:
            continue
        yield _finding(hazard, migration, statement.line)


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
