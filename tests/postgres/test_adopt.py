"""A database whose schema was there first: proved, and only then written into the ledger."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from tests.postgres.adopting import CONTRACT, EXPANDED, lineage, make, refused, standing
from tests.postgres.own_server import connect

from changeover.executors import migrate
from changeover.executors.migrate import failures
from changeover.executors.migrate.adoption import proof

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.postgres.own_server import Shop

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

__all__ = ["lineage", "standing"]
pytestmark = pytest.mark.postgres


def test_what_is_there_is_written_as_applied_and_never_run(
    standing: Shop, lineage: list[MigrationFolder]
) -> None:
    with pytest.raises(failures.StatementFailed, match="already exists"):
        migrate.apply(standing.owner, lineage[0])
    standing.rows("DROP SCHEMA changeover CASCADE")

    found = migrate.adopt(standing.owner, lineage, fence=7)

    assert tuple(migration.id for migration in found.standing) == EXPANDED
    assert [migration.id for migration in found.pending] == [CONTRACT]
    assert found.trusted == ()
    assert standing.rows("SELECT id, state, fence FROM changeover.migration ORDER BY position") == [
        (name, "applied", 7) for name in EXPANDED
    ]
    assert standing.rows("SELECT DISTINCT state, how FROM changeover.statement") == [
        ("done", "adopted")
    ]
    assert standing.rows("SELECT * FROM users") == [(1, "x", "Ann")]
    again = [migrate.apply(standing.owner, each, phases=("expand", "backfill")) for each in lineage]
    assert [outcome.done for outcome in again] == [(), ()]
    begun = migrate.began(standing.owner)
    assert begun is not None
    assert (begun.release, begun.trusted, begun.recorded) == ("2.0.0", (), ())


def test_a_contract_migration_is_adopted_where_its_verify_is_true_and_runs_where_not(
    standing: Shop, lineage: list[MigrationFolder]
) -> None:
    migrate.adopt(standing.owner, lineage)

    ran = migrate.apply(standing.owner, lineage[1])

    assert ran.done == (CONTRACT,)
    standing.rows("DROP SCHEMA changeover CASCADE")
    found = migrate.adopt(standing.owner, lineage)
    assert [migration.id for migration in found.standing] == [*EXPANDED, CONTRACT]
    assert found.pending == ()


def test_a_contract_migration_without_a_verify_file_is_left_unless_a_person_answers_for_it(
    standing: Shop, lineage: list[MigrationFolder], release: Release
) -> None:
    (lineage[1].path / "contract/001_old.verify.sql").unlink()
    standing.rows("ALTER TABLE users DROP COLUMN old")
    folders = [lineage[0], release({}, "2.0.0")]
    assert "column old of users is not there" in str(refused(standing, folders).cause)

    found = migrate.examine(standing.owner, folders, trust=[CONTRACT])

    assert [migration.id for migration in found.standing] == [*EXPANDED, CONTRACT]
    assert found.trusted == (CONTRACT,)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("DROP TABLE users", "table users is not there, and 1.0.0/expand/001_users makes it"),
        ("ALTER TABLE users DROP COLUMN id", "column id of users is not there"),
        ("DROP INDEX users_name", "index users_name is not there, and 2.0.0/expand/001_name"),
        (
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_name'::regclass",
            "index users_name is not there",
        ),
    ],
)
def test_what_is_missing_is_named_and_cannot_be_trusted(
    harm: str, said: str, standing: Shop, lineage: list[MigrationFolder]
) -> None:
    standing.rows(harm)

    error = refused(standing, lineage, *EXPANDED)

    assert said in str(error.cause)
    assert "adopt the release whose schema it has" in error.hint


def test_of_a_table_that_is_missing_the_parts_are_not_named(
    standing: Shop, lineage: list[MigrationFolder]
) -> None:
    standing.rows("DROP TABLE users")

    said = str(refused(standing, lineage, *EXPANDED, CONTRACT).cause).splitlines()

    assert [line for line in said if "is not there, and" in line] == [
        "table users is not there, and 1.0.0/expand/001_users makes it"
    ]


def test_a_verify_that_is_false_or_absent_takes_the_word_of_a_person(
    standing: Shop, lineage: list[MigrationFolder], release: Release
) -> None:
    make(standing, "INSERT INTO users VALUES (2, 'y', NULL)")
    (lineage[0].path / "expand/001_users.verify.sql").unlink()
    folders = [release({}, "1.0.0"), lineage[1]]
    owner = dataclasses.replace(standing.owner, environment="shop")
    doubtful = (EXPANDED[0], EXPANDED[2])

    with pytest.raises(proof.BaselineUnproved) as caught:
        migrate.examine(owner, folders, trust=doubtful[:1])
    cause = str(caught.value.cause)
    assert "001_name.verify.sql:1 came out wrong in 1 of 1 rows" in cause
    assert "has no verify queries" not in cause
    assert caught.value.hint.endswith(
        "changeover db adopt 2.0.0 --env shop"
        " --trust 1.0.0/expand/001_users --trust 2.0.0/backfill/001_name"
    )
    assert "1.0.0/expand/001_users has no verify queries" in str(refused(standing, folders).cause)

    migrate.adopt(owner, folders, trust=doubtful)

    begun = migrate.began(owner)
    assert begun is not None
    assert begun.trusted == doubtful


def test_what_a_later_statement_may_have_taken_away_takes_a_word_too(
    shop: Shop, release: Release
) -> None:
    files = {
        "expand/001_old.sql": "CREATE TABLE old (id int)",
        "expand/001_old.verify.sql": "SELECT true",
        "expand/002_gone.sql": "DO $$ BEGIN EXECUTE 'DROP TABLE old'; END $$",
        "expand/002_gone.verify.sql": "SELECT to_regclass('old') IS NULL",
    }
    folder = release(files)

    error = refused(shop, [folder])

    assert "a later statement may have taken it away" in str(error.cause)
    found = migrate.adopt(shop.owner, [folder], trust=["1.0.0/expand/001_old"])
    assert found.trusted == ("1.0.0/expand/001_old",)


def test_a_verify_that_a_later_contract_made_false_says_which(
    standing: Shop, release: Release, lineage: list[MigrationFolder]
) -> None:
    old = "SELECT count(*) = 1 FROM information_schema.columns WHERE column_name = 'old'"
    folders = [release({"expand/001_users.verify.sql": old}, "1.0.0"), lineage[1]]
    standing.rows("ALTER TABLE users DROP COLUMN old")

    error = refused(standing, folders)

    assert str(error.cause).endswith("((False,)); done since: 2.0.0/contract/001_old")
    found = migrate.adopt(standing.owner, folders, trust=[EXPANDED[0]], release="2.0.1")
    assert (found.release, found.trusted) == ("2.0.1", EXPANDED[:1])


KINDS: Mapping[str, str] = {
    "DROP VIEW seen": "table seen",
    "DROP INDEX numbers_n": "index numbers_n",
    "ALTER TABLE numbers DROP COLUMN spare": "column spare of numbers",
    "ALTER TABLE numbers DROP CONSTRAINT positive": "constraint positive of numbers",
    "DROP TRIGGER noted ON numbers": "trigger noted of numbers",
    "DROP POLICY own ON numbers": "policy own of numbers",
    "DROP TYPE size": "type size",
    "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'": "enum value sad of mood",
    "DROP FUNCTION twice": "function twice",
    "DROP FUNCTION inner_place.thrice": "function inner_place.thrice",
    'DROP SCHEMA "Odd ""place"': 'schema Odd "place',
    "DROP EXTENSION citext": "extension citext",
}


def test_each_kind_of_thing_is_looked_for(shop: Shop, release: Release) -> None:
    text = """
        CREATE EXTENSION citext;
        CREATE SCHEMA inner_place;
        CREATE SCHEMA "Odd ""place";
        CREATE TABLE numbers (n int CONSTRAINT positive CHECK (n > 0), spare int);
        CREATE INDEX numbers_n ON numbers (n);
        CREATE VIEW seen AS SELECT 1;
        CREATE TYPE size AS (n int);
        CREATE TYPE mood AS ENUM ('ok');
        ALTER TYPE mood ADD VALUE 'sad';
        CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
        CREATE FUNCTION inner_place.thrice(n int) RETURNS int LANGUAGE sql AS 'SELECT 3 * n';
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER noted BEFORE INSERT ON numbers FOR EACH ROW EXECUTE FUNCTION note();
        CREATE POLICY own ON numbers;
    """
    folder = release({"expand/001_all.sql": text, "expand/001_all.verify.sql": "SELECT true"})
    with connect(shop.owner) as connection:
        for statement in folder.migrations[0].statements:
            connection.execute(statement.sql.encode())
    assert migrate.examine(shop.owner, [folder]).standing == folder.migrations

    for harm in KINDS:
        make(shop, harm)

    said = str(refused(shop, [folder], "1.0.0/expand/001_all").cause).splitlines()
    assert sorted(line.partition(" is not there")[0] for line in said) == sorted(KINDS.values())
