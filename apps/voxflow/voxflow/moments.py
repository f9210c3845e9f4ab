"""Moments as answers tell them: UTC, with milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import PlainSerializer


def told(moment: datetime) -> str:
    """Return a moment as ``2024-01-01T00:00:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> str:
    """Return this moment."""
    return told(datetime.now(UTC))


Moment = Annotated[datetime, PlainSerializer(told, return_type=str)]
