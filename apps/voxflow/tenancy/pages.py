"""Long lists, a page at a time."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

PageNumber = Annotated[int, Query(ge=1, le=1_000_000, description="which page, from 1 on")]
PageSize = Annotated[int, Query(ge=1, le=100, description="how many a page has at the most")]


class Pagination(BaseModel):
    """Which page of how many; one behind the last is empty."""

    page: int
    limit: int
    total: int
    pages: int


def skipped(page: int, limit: int) -> int:
    """Return how many come before a page."""
    return (page - 1) * limit


def pagination(page: int, limit: int, total: int) -> Pagination:
    """Return where a page is among all."""
    return Pagination(page=page, limit=limit, total=total, pages=-(-total // limit))
