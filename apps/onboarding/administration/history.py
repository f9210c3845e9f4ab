"""The versions of a step, oldest first."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from . import unfinished

if TYPE_CHECKING:
    import psycopg

VERSIONS = """
    SELECT version, title, required, weight, active_from, active_to, active_to IS NULL,
           created_at, updated_at
    FROM onboarding_steps WHERE step_id = %s AND version IS DISTINCT FROM %s ORDER BY version"""
NAMES = (
    "version", "title", "required", "weight", "activeFrom", "activeTo", "isActive", "createdAt",
    "updatedAt",
)  # fmt: skip


def of(connection: psycopg.Connection[tuple[Any, ...]], step: str) -> dict[str, Any] | None:
    """Return what is known of a step's versions; ``None`` where there is no such step."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        under_way = unfinished.of(connection, step)
        running = under_way is not None and unfinished.running(connection, step)
        # A version that nobody was ever on is none of its versions.
        waits = under_way if under_way and under_way.state != unfinished.RECALCULATING else None
        rows = connection.execute(VERSIONS, [step, waits.after if waits else None]).fetchall()
    if not rows:
        return None
    versions = [
        {name: stamp(value) for name, value in zip(NAMES, row, strict=True)} for row in rows
    ]
    active = [each["version"] for each in versions if each["isActive"]]
    told = {
        "stepId": step,
        "versions": versions,
        "activeVersion": active[0] if active else None,
        "totalVersions": len(versions),
    }
    if under_way is not None:
        facts = {name: stamp(value) for name, value in under_way.as_json().items()}
        told["underWay"] = {**facts, "running": running}
    return told


def stamp(value: object) -> object:
    """Return a moment as ISO 8601 in UTC, to the millisecond; anything else as it is."""
    if not isinstance(value, dt.datetime):
        return value
    text = value.astimezone(dt.UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
