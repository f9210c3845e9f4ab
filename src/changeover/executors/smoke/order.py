"""Which checks wait for which: at once runs only what finds the same as one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover import checks as declared
from changeover.checks import records

if TYPE_CHECKING:
    from collections.abc import Sequence

UNIQUE = "unique"


def waits(checks: Sequence[declared.Check]) -> list[frozenset[int]]:
    """Return for each check the places of those before it that have to end before it begins."""
    return [
        frozenset(place for place in range(own) if _in_order(checks[place], check))
        for own, check in enumerate(checks)
    ]


def _in_order(first: declared.Check, later: declared.Check) -> bool:
    if first.retry is not None:
        # It waits until the app is there; those behind it are asked once.
        return True
    if not (_alongside(first) and _alongside(later)):
        return True
    return bool(
        _saves(first) & (_names(later) | _saves(later))
        or _names(first) & _saves(later)
        or UNIQUE in _names(first) & _names(later)
    )


def _alongside(check: declared.Check) -> bool:
    """Return whether a check neither disturbs others nor is disturbed by them."""
    if check.alongside is not None:
        return check.alongside
    steps = [step for step in declared.steps(check) if isinstance(step, records.Exchange)]
    return all(
        step.request.method in declared.SAFE
        and step.expect.within_seconds is None
        and step.tries == 1
        for step in steps
    )


def _saves(check: declared.Check) -> set[str]:
    return set().union(*(declared.saves(step) for step in declared.steps(check)))


def _names(check: declared.Check) -> set[str]:
    return set().union(*(records.placeholders(step) for step in declared.steps(check)))
