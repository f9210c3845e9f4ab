from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from changeover.errors import InvalidInput
from changeover.migrations.folder import load
from changeover.migrations.records import Batch, Relation

CASES = yaml.safe_load(Path(__file__).with_name("folders.yml").read_text())


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_folder_that_is_not_understood_is_refused(case: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        load(write(tmp_path, case["files"]), "1.0.0")

    assert type(caught.value).__name__ == case["error"]
    assert case["says"] in caught.value.message
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint


def test_migrations_are_read_in_the_order_they_run(tmp_path: Path) -> None:
    files = {
        "contract/001_drop.sql": "DROP TABLE old",
        "expand/002_index.sql": "CREATE INDEX CONCURRENTLY i ON t (a);\nSELECT 1",
        "expand/001_table.sql": "-- a table\nCREATE TABLE t (a int)",
        "expand/001_table.verify.sql": "SELECT true",
        "expand/001_table.revert.sql": "DROP TABLE t",
        "backfill/001_fill.sql": "-- why\n-- changeover: batch table=app.t key=a\n"
        "UPDATE t SET a = 1 WHERE a BETWEEN $1 AND $2",
    }

    folder = load(write(tmp_path, files), "8.0.0")

    assert [found.id for found in folder.migrations] == [
        "8.0.0/expand/001_table",
        "8.0.0/expand/002_index",
        "8.0.0/backfill/001_fill",
        "8.0.0/contract/001_drop",
    ]
    table, index, fill, _ = folder.migrations
    assert table.checksum == hashlib.sha256(files["expand/001_table.sql"].encode()).hexdigest()
    assert [found.sql for found in (*table.statements, *table.verify, *table.revert)] == [
        "CREATE TABLE t (a int)",
        "SELECT true",
        "DROP TABLE t",
    ]
    assert table.statements[0].line == 2
    assert (table.transactional, index.transactional, fill.transactional) == (True, False, False)
    assert fill.batch == Batch(table=Relation(name="t", schema="app"), key="a", size=5000)
    assert [found.id for found in folder.of(("contract",))] == ["8.0.0/contract/001_drop"]


def test_a_release_without_migrations_has_an_empty_folder(tmp_path: Path) -> None:
    assert load(tmp_path / "none", "1.0.0").migrations == ()


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {"expand/001_a.sql": ""}) / "expand" / "001_a.sql"
    path.write_bytes(b"SELECT '\xe4'")
    with pytest.raises(InvalidInput, match="is not UTF-8"):
        load(tmp_path, "1.0.0")


def test_statements_are_split_where_postgresql_ends_them(tmp_path: Path) -> None:
    text = """-- first; not yet
CREATE TABLE a (id int); /* ; */
CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;
DO $body$ BEGIN PERFORM ';'; END $body$;
/* nested /* ; */ */ INSERT INTO a VALUES (';ä'); SELECT 1
"""
    (migration,) = load(write(tmp_path, {"expand/001_a.sql": text}), "1.0.0").migrations

    assert [(found.line, found.effect.kind) for found in migration.statements] == [
        (2, "CREATE TABLE"),
        (3, "CREATE FUNCTION"),
        (4, "DO"),
        (5, "INSERT"),
        (5, "SELECT"),
    ]
    assert migration.statements[3].sql == "INSERT INTO a VALUES (';ä')"
