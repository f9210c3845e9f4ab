"""Which database is live where a rollback's restore was red: the database host is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.executors import backup as backups

if TYPE_CHECKING:
    from changeover.errors import ChangeoverError
    from changeover.executors.backup import Unfinished
    from changeover.runner.run import Run

UNKNOWN = "whether the database is the backup's is not known"


def told(run: Run, backup: str, error: ChangeoverError) -> tuple[str, str]:
    """Return which database is live after a restore that was red, in words, and what to type next."""
    again = f"changeover backup restore {backup} --env {run.environment.name}"
    if isinstance(error, backups.SwapUnknown):
        return UNKNOWN, error.hint
    try:
        unfinished = backups.list_(backups.vault_of(run.fleet)).unfinished
    except Exception:  # noqa: BLE001 - the restore's own failure is what is told
        return UNKNOWN, f"changeover backup list --env {run.environment.name} tells; then {again}"
    return _said(backup, unfinished), again


def _said(backup: str, unfinished: Unfinished | None) -> str:
    if unfinished is None or unfinished.backup != backup:
        return "the database is not the backup's"
    if unfinished.live:
        return "the database is the backup's, and what that left behind is not counted yet"
    return f"{UNKNOWN}, since the restore is under way or was cut off"
