"""The rules of the lint: what each is about, for those who meet its name in a report."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from changeover.migrations.hazards import Severity


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule.

    Args:
        name: As findings carry it.
        severity: What its findings are; the graver one where they differ.
        about: What it finds, in a sentence.
    """

    name: str
    severity: Severity
    about: str


_TOLD: tuple[tuple[Severity, str, str], ...] = (
    ("error", "index-not-concurrent", "Writers wait while an index is built."),
    ("error", "reindex-not-concurrent", "Readers or writers wait while an index is rebuilt."),
    ("error", "column-type-change", "A column's new type may write the whole table anew."),
    ("error", "rewrites-shut", "A table is written anew with everybody shut out."),
    ("error", "constraint-builds-index", "A constraint builds its index, everybody shut out."),
    ("error", "not-null-without-default", "A NOT NULL column has no value for old rows."),
    ("error", "breaks-old-version", "What the old version uses is taken away too early."),
    ("error", "computed-default", "A default computed for each row writes the table anew."),
    ("warning", "drop-index-not-concurrent", "Everybody waits while an index is dropped."),
    ("warning", "explicit-lock", "A table is locked by name."),
    ("warning", "partition-of", "A new partition shuts readers of its parent out."),
    ("warning", "forbids-old-writes", "The old version may not be able to write as it did."),
    ("warning", "takes-user-data", "What users have written may be gone or overwritten."),
    ("warning", "set-not-null", "Every row is read with everybody shut out."),
    ("warning", "constraint-validated-at-once", "A constraint reads every row at once."),
    ("warning", "whole-table-write", "Every row of a table is written in one transaction."),
    ("warning", "backfill-at-once", "A backfill writes its rows in one transaction."),
    ("warning", "mixed-transactions", "A file's statements cannot share one transaction."),
    ("warning", "verify-missing", "Nothing proves a migration's result."),
    ("note", "revert-missing", "A migration cannot be undone without a backup."),
)
RULES = tuple(Rule(name=name, severity=severity, about=about) for severity, name, about in _TOLD)
