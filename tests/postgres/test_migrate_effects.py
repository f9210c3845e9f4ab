"""What the classifier says of locks and rewrites, held against a real server, case by case."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml

from changeover.migrations import statements

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.postgres

CASES = Path(__file__).parents[1] / "unit" / "migrations"
STATEMENTS = yaml.safe_load((CASES / "effects.yml").read_text())
MODES = (
    *("AccessShare", "RowShare", "RowExclusive", "ShareUpdateExclusive"),
    *("Share", "ShareRowExclusive", "Exclusive", "AccessExclusive"),
)
LOCKS = """
    SELECT names.name, replace(held.mode, 'Lock', '')
    FROM pg_locks AS held JOIN names USING (relation)
    WHERE held.pid = pg_backend_pid() AND held.granted
"""
REWRITING = {"ALTER TABLE", "CLUSTER", "REFRESH MATERIALIZED VIEW"}
REWRITING |= {f"{kind} CONCURRENTLY" for kind in REWRITING}
FILES = "SELECT name, pg_relation_filenode(relation) FROM names"


@pytest.fixture(scope="module")
def catalog(postgres_server: Any) -> Iterator[psycopg.Connection]:  # noqa: ANN401 - a fixture's own class
    postgres_server.run("CREATE DATABASE effects")
    with psycopg.connect(
        **postgres_server.admin("effects").parameters(), autocommit=True
    ) as connection:
        connection.execute((CASES / "schema.sql").read_bytes())
        connection.execute(
            "CREATE TEMP TABLE names AS SELECT oid AS relation, relname::text AS name"
            " FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        )
        yield connection
    postgres_server.run("DROP DATABASE effects")


@pytest.mark.parametrize(
    "case",
    STATEMENTS,
    ids=lambda case: case["sql"],
)
def test_the_server_locks_and_rewrites_what_we_say(
    catalog: psycopg.Connection, case: dict[str, Any]
) -> None:
    if not case.get("transactional", True):
        with pytest.raises(psycopg.errors.ActiveSqlTransaction), catalog.transaction():
            catalog.execute(case["sql"].encode())
        return
    (statement,) = statements.read(case["sql"], Path("case.sql"))
    with catalog.transaction(force_rollback=True):
        before: dict[str, int] = dict(catalog.execute(FILES).fetchall())
        catalog.execute(case["sql"].encode())
        held: dict[str, int] = {}
        for name, mode in catalog.execute(LOCKS).fetchall():
            held[name] = max(held.get(name, 0), MODES.index(mode) + 1)
        after: dict[str, int] = dict(catalog.execute(FILES).fetchall())

    expected = {
        name: MODES.index(mode.title().replace(" ", "")) + 1 for name, mode in case["locks"].items()
    }
    assert {name: held.get(name) for name in expected} == expected
    if case["kind"] in REWRITING and statement.effect.rewrites is not None:
        met = statement.effect.targets[0].relation.name
        assert (before[met] != after.get(met, before[met])) == statement.effect.rewrites
