"""The moment that a backup is of: what does not obey snapshots is kept out from before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from changeover.agent.backup import create

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

    from changeover.agent.postgres.session import Session

pytestmark = pytest.mark.postgres


def test_nobody_empties_or_rewrites_a_table_between_the_snapshot_and_its_reading(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    took = create._snapshot  # noqa: SLF001 - the gate is between it and the dump
    refused = []

    def then(session: Session) -> str:
        snapshot = took(session)
        with psycopg.connect(**site.shop.admin.parameters(), autocommit=True) as writer:
            writer.execute("SET lock_timeout = '50ms'")
            for statement in (
                "TRUNCATE audit",
                "ALTER TABLE audit ALTER COLUMN line TYPE char(20)",
            ):
                try:
                    writer.execute(statement)
                except psycopg.errors.LockNotAvailable:
                    refused.append(statement.split()[0])
        return snapshot

    monkeypatch.setattr(create, "_snapshot", then)
    site.create()

    assert refused == ["TRUNCATE", "ALTER"]
