from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from changeover.errors import InvalidInput
from changeover.migrations import hazards
from changeover.migrations.checks import (
    Check,
    Column,
    Comparison,
    Delta,
    Invariant,
    NotNull,
    Orphans,
    Rows,
    Sequences,
    Unchanged,
    held_by,
)
from changeover.migrations.folder import load
from changeover.migrations.records import Migration, Relation

CASES = yaml.safe_load(Path(__file__).with_name("checks.yml").read_text())
USERS = Relation(name="users")
TOKENS = Relation(name="tokens", schema="App")


def read(folder: Path, text: str, statements: str = "SELECT 1") -> Migration:
    (folder / "expand").mkdir()
    (folder / "expand" / "001_a.sql").write_text(statements)
    (folder / "expand" / "001_a.checks.yml").write_text(text)
    return load(folder, "1.0.0").migrations[0]


def items(folder: Path, text: str) -> tuple[Check, ...]:
    migration = read(folder, text)
    assert migration.checks is not None
    return migration.checks.items


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_checks_file_that_is_not_understood_is_refused(
    case: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, case["text"])

    place = f"001_a.checks.yml:{case['where']}: " if case["where"] else "001_a.checks.yml"
    assert place in caught.value.message
    assert case["says"] in caught.value.message
    assert caught.value.hint


def test_every_mistake_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="has 2 mistakes") as caught:
        read(tmp_path, "not_null: [id]\ninvariants: {x: DROP TABLE users}")

    assert caught.value.cause
    assert [line.partition("checks.yml:")[2][:1] for line in caught.value.cause.splitlines()] == [
        "1",
        "2",
    ]


def test_checks_are_read_in_the_order_they_are_taken(tmp_path: Path) -> None:
    text = """
invariants:
  one name each: SELECT count(*) = count(DISTINCT name) FROM users;
  the sum:
    before: |
      SELECT sum('€'::text = '') FROM "App".tokens JOIN users ON true; -- as it was
    after: WITH logs AS (SELECT 1) SELECT a FROM logs
  the count: {before: SELECT count(*) FROM users}
sequences: all
orphans:
  App.tokens.user_id: users.id
not_null:
- users.id
rows: {users: -2, App.tokens: ">= -5"}
"""
    ids = Column(table=USERS, name="id")
    owners = Column(table=TOKENS, name="user_id")
    summed = "SELECT sum('€'::text = '') FROM \"App\".tokens JOIN users ON true"
    assert items(tmp_path, text) == (
        Rows(line=14, table=USERS, expected=Delta(comparison="=", rows=-2)),
        Rows(line=14, table=TOKENS, expected=Delta(comparison=">=", rows=-5)),
        NotNull(line=13, column=ids),
        Orphans(line=11, child=owners, parent=ids),
        Sequences(line=9, table=None),
        Invariant(
            line=3,
            name="one name each",
            query="SELECT count(*) = count(DISTINCT name) FROM users",
        ),
        Unchanged(
            line=4,
            name="the sum",
            before=summed,
            after="WITH logs AS (SELECT 1) SELECT a FROM logs",
            tables=(TOKENS, USERS, Relation(name="logs")),
        ),
        Unchanged(
            line=8,
            name="the count",
            before="SELECT count(*) FROM users",
            after="SELECT count(*) FROM users",
            tables=(USERS,),
        ),
    )


def test_named_tables_have_their_sequences_checked(tmp_path: Path) -> None:
    found = items(tmp_path, "sequences:\n- users\n- App.tokens")

    assert found == (Sequences(line=2, table=USERS), Sequences(line=3, table=TOKENS))
    assert [str(check) for check in found] == ["sequences users", "sequences App.tokens"]
    assert [held_by(check) for check in found] == [(), ()]


def test_what_is_compared_is_held_still(tmp_path: Path) -> None:
    migration = read(
        tmp_path, "rows: {users: 0}\ninvariants: {n: {before: 'SELECT 1 FROM users, logs'}}"
    )

    assert migration.checks is not None
    assert migration.checks.still == (USERS, Relation(name="logs"))


@pytest.mark.parametrize(
    ("comparison", "holding"),
    [("=", [2]), (">=", [2, 3]), ("<=", [1, 2]), (">", [3]), ("<", [1])],
)
def test_a_delta_holds_for_what_it_says(comparison: Comparison, holding: list[int]) -> None:
    delta = Delta(comparison=comparison, rows=2)

    assert [rows for rows in (1, 2, 3) if delta.holds(rows)] == holding
    assert str(delta) == (f"{comparison}2" if comparison != "=" else "+2")


@pytest.mark.parametrize(
    ("name", "statements", "why"),
    [
        ("expand/001_a", "SELECT 1;\nDROP INDEX CONCURRENTLY i", "in line 2 runs alone"),
        ("expand/001_a", "ALTER TYPE mood ADD VALUE 'wild'", "ALTER TYPE ADD VALUE in line 1"),
        (
            "backfill/001_a",
            "-- changeover: batch table=t key=a\nUPDATE t SET a = 1 WHERE a BETWEEN $1 AND $2",
            "it has batches",
        ),
    ],
)
@pytest.mark.parametrize("text", ["rows: {t: 0}", "invariants: {x: {before: SELECT 1}}"])
def test_before_and_after_are_not_compared_over_several_transactions(
    tmp_path: Path, name: str, statements: str, why: str, text: str
) -> None:
    path = tmp_path / f"{name}.sql"
    path.parent.mkdir()
    path.write_text(statements)
    path.with_suffix(".checks.yml").write_text("not_null: [t.a]")
    assert load(tmp_path, "1.0.0").migrations[0].checks

    path.with_suffix(".checks.yml").write_text(f"not_null: [t.a]\n{text}")
    with pytest.raises(
        InvalidInput, match=r"001_a.checks.yml:2: .* is not one transaction"
    ) as caught:
        load(tmp_path, "1.0.0")

    assert why in caught.value.message
    assert caught.value.hint.startswith("say what holds at its end")


def test_a_checks_file_counts_in_the_digest_of_its_migration_alone(tmp_path: Path) -> None:
    migration = read(tmp_path, "sequences: all\n", "SELECT 2;\n")
    alone = hashlib.sha256(b"SELECT 2;\n").hexdigest()

    assert migration.checksum == hashlib.sha256(b"SELECT 2;\nsequences: all\n").hexdigest()
    assert migration.ran_as(migration.checksum)
    assert migration.ran_as(alone), "it was applied before it had checks"
    assert not migration.ran_as(hashlib.sha256(b"SELECT 3").hexdigest())

    (tmp_path / "expand" / "001_a.checks.yml").unlink()
    (bare,) = load(tmp_path, "1.0.0").migrations
    assert bare.checksum == alone
    assert not bare.ran_as(migration.checksum), "the checks that it ran with are gone"


def test_checks_prove_a_migration_as_verify_queries_do(tmp_path: Path) -> None:
    migration = read(tmp_path, "sequences: all")

    assert [finding.rule for finding in hazards.lint([migration])] == ["revert-missing"]


def test_checks_of_no_migration_are_refused(tmp_path: Path) -> None:
    read(tmp_path, "sequences: all")
    (tmp_path / "expand" / "002_b.checks.yml").write_text("sequences: all")

    with pytest.raises(InvalidInput, match=r"002_b.checks.yml belongs to no migration: 002_b.sql"):
        load(tmp_path, "1.0.0")


def test_the_example_of_the_page_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "migrations.md").read_text()
    (example,) = [part.partition("```")[0] for part in page.split("```yaml\n")[1:]]

    assert len(items(tmp_path, example)) == 7
