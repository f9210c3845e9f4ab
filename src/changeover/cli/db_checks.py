"""Show the data checks that a migration will be held to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.migrations.checks import held_by

if TYPE_CHECKING:
    from changeover.cli.output import Output
    from changeover.migrations.records import Migration


def show(output: Output, migration: Migration) -> int:
    """Print each check that is to be taken before this migration is committed; return how many."""
    if migration.checks is None:
        return 0
    for check in migration.checks.items:
        held = [table.dotted for table in held_by(check)]
        waits = f"; nobody else writes to {', '.join(held)} meanwhile" if held else ""
        output.data(
            {
                "type": "data-check",
                "migration": migration.id,
                "check": str(check),
                "state": "planned",
                "holds": held,
            },
            f"{migration.id}  to check: {check}{waits}",
        )
    return len(migration.checks.items)
