"""The versions of a step, oldest first."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

VERSIONS = """
    SELECT version, title, required, weight, active_from, active_to, active_to IS NULL,
           created_at, updated_at
    FROM onboarding_steps WHERE step_id = %s ORDER BY version"""
NAMES = (
    "version", "title", "required", "weight", "activeFrom", "activeTo", "isActive", "createdAt",
    "updatedAt",
)  # fmt: skip


def of(connection: psycopg.Connection[tuple[Any, ...]], step: str) -> dict[str, Any] | None:
    """Return what is known of a step's versions; ``None`` where there is no such step."""
    rows = connection.execute(VERSIONS, [step]).fetchall()
    if not rows:
        return None
    versions = [
        {name: stamp(value) for name, value in zip(NAMES, row, strict=True)} for row in rows
    ]
    active = [each["version"] for each in versions if each["isActive"]]
    return {
        "stepId": step,
        "versions": versions,
        "activeVersion": active[0] if active else None,
        "totalVersions": len(versions),
    }


def stamp(value: object) -> object:
    """Return a moment as ISO 8601 in UTC, to the millisecond; anything else as it is."""
    if not isinstance(value, dt.datetime):
        return value
    text = value.astimezone(dt.UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
