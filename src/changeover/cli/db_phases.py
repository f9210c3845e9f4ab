"""Which phases of migrations a ``db`` verb is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from changeover.migrations.records import Phase

DEPLOYED: tuple[Phase, ...] = ("expand", "backfill")


def chosen(names: list[str] | None, otherwise: tuple[Phase, ...]) -> tuple[Phase, ...]:
    """Return the phases that were named, in the order they run; ``otherwise`` where none was.

    Raises:
        InvalidInput: One of them is no phase.
    """
    from changeover.migrations.records import PHASES  # noqa: PLC0415 - `--help` does without

    if not names:
        return otherwise
    unknown = set(names) - set(PHASES)
    if unknown:
        raise InvalidInput(
            f"no phase is called {', '.join(sorted(unknown))}",
            hint=f"choose from {', '.join(PHASES)}",
        )
    return tuple(name for name in PHASES if name in names)
