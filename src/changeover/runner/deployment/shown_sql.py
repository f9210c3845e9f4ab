"""A statement as a plan shows it: whom it meets, and what the last rehearsal measured of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.counts import about_rows
from changeover.plan.situation import SqlChange
from changeover.runner.rehearse import measurements

if TYPE_CHECKING:
    from changeover.executors import migrate

MEGABYTE = 1_000_000


def change(shown: migrate.StatementPreview, known: migrate.Rehearsals) -> SqlChange:
    """Return what a plan tells of a statement."""
    return SqlChange(
        migration=shown.migration,
        sql=shown.sql,
        rewrites=shown.rewrites,
        measured=measurements.told(
            known.of(shown.migration, shown.number, shown.digest), known.now
        ),
        meets=tuple(
            f"{target.lock} on {target.table}: "
            + (
                f"{about_rows(target.rows)}, {target.size_bytes / MEGABYTE:.1f} MB, "
                if target.exists
                else "new, "
            )
            + target.who_waits
            for target in shown.targets
        ),
    )
