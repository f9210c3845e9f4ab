"""What the old version runs beside a migration: as the app's role, on the clone, before it and after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.postgres.backup.rehearsing import Rehearsing, rehearsing

from changeover import verdict
from changeover.executors import migrate
from changeover.runner.rehearse import old_version
from changeover.runner.undo import judgement

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.backup.conftest import Site

__all__ = ["rehearsing"]
pytestmark = pytest.mark.postgres

POLICY = "CREATE POLICY own ON people USING ({});\nALTER TABLE people ENABLE ROW LEVEL SECURITY"
UNSCOPED = "nullif(current_setting('shop.tenant', true), '') IS NULL"
SELECTS = "SELECT count(*) FROM people"
INSERTS = "INSERT INTO people (name, age) VALUES ('Ada', 7)"
UPDATES = "UPDATE people SET age = age + 1 WHERE name = 'person 5'"
ISOLATION = "1.0.0/expand/001_isolation"
FILES = {
    "expand/001_isolation.sql": POLICY.format(UNSCOPED),
    "expand/001_isolation.coexist.sql": f"{SELECTS};\n{INSERTS};\n{UPDATES}",
}


@pytest.fixture
def beside(
    site: Site, rehearsing: Callable[[dict[str, str]], Rehearsing]
) -> Callable[[dict[str, str]], Rehearsing]:
    """Return a maker of deployments whose app's role may use the tables, as `provision` has it."""

    def make(files: dict[str, str]) -> Rehearsing:
        role = site.shop.app.user
        site.shop.rows(
            f"GRANT USAGE ON SCHEMA public TO {role};"
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {site.shop.owner.user} GRANT ALL ON TABLES TO {role}"
        )
        return rehearsing(files)

    return make


def judged(deployment: Rehearsing) -> verdict.Verdict:
    known = migrate.recall(deployment.site.shop.owner)
    return verdict.judge(judgement.facts(deployment.folder.migrations, [deployment.folder], known))


def test_row_security_that_the_old_version_lives_with_leaves_the_way_back_a_rename(
    site: Site, beside: Callable[[dict[str, str]], Rehearsing]
) -> None:
    deployment = beside(FILES)
    assert judged(deployment).kind == "restore"

    says = deployment.rehearse()

    assert f"3 statements of the old version work beside {ISOLATION} as before it" in says
    found = judged(deployment)
    assert found.kind == "instant"
    assert f"{ISOLATION} (001_isolation.coexist.sql as {site.shop.app.user})" in found.because
    (line,) = old_version.told(
        deployment.folder.migrations,
        [deployment.folder],
        migrate.recall(site.shop.owner),
    )
    assert line.startswith(f"{ISOLATION}  3 statements of the old version worked beside it as")
    assert line.endswith(" s ago")
    assert site.shop.value("SELECT count(*) FROM people") == 500
    assert site.databases() == {site.shop.name}


@pytest.mark.parametrize(
    ("migration", "old", "message"),
    [
        (
            POLICY.format("current_setting('shop.tenant') = name"),
            INSERTS,
            (
                "001_isolation.coexist.sql:1: INSERT fails as {role}: unrecognized configuration"
                ' parameter "shop.tenant" (SQLSTATE 42704)'
            ),
        ),
        (
            POLICY.format("current_setting('shop.tenant', true) = name"),
            f"SET shop.tenant = 'Ben';\n{INSERTS}",
            (
                "001_isolation.coexist.sql:2: INSERT fails as {role}: new row violates row-level security"
                ' policy for table "people" (SQLSTATE 42501)'
            ),
        ),
        (
            POLICY.format("name <> 'person 5'"),
            f"{INSERTS};\n{UPDATES}",
            "001_isolation.coexist.sql:2: UPDATE writes no row as {role}, so it shows nothing",
        ),
        (
            POLICY.format("age > 0 AND name <> 'person 5'"),
            f"{INSERTS};\n{SELECTS}",
            "001_isolation.coexist.sql:2: SELECT as {role} gives 1 row as before, with other values",
        ),
        (
            POLICY.format("name <> 'person 5'"),
            f"{INSERTS};\nUPDATE people SET age = 1 WHERE name IN ('person 5', 'person 6')",
            "001_isolation.coexist.sql:2: UPDATE as {role} has 1 row, and 2 before",
        ),
        (
            "ALTER TABLE people ADD CHECK (age > 9) NOT VALID",
            INSERTS,
            "001_isolation.coexist.sql:1: INSERT fails as {role}: new row for relation",
        ),
        (
            (
                "CREATE TABLE towns (name text PRIMARY KEY);\nALTER TABLE people ADD FOREIGN KEY (name)"
                " REFERENCES towns DEFERRABLE INITIALLY DEFERRED NOT VALID"
            ),
            INSERTS,
            (
                "001_isolation.coexist.sql: what is checked at the end of the transaction fails as {role}:"
                ' insert or update on table "people" violates foreign key constraint "people_name_fkey"'
                " (SQLSTATE 23503)"
            ),
        ),
    ],
)
def test_an_old_version_that_cannot_go_on_ends_the_rehearsal(
    site: Site,
    beside: Callable[[dict[str, str]], Rehearsing],
    migration: str,
    old: str,
    message: str,
) -> None:
    deployment = beside(
        {"expand/001_isolation.sql": migration, "expand/001_isolation.coexist.sql": old}
    )

    with pytest.raises(old_version.OldVersionBarred) as caught:
        deployment.rehearse()

    assert caught.value.exit_code == 6
    assert caught.value.message.startswith("in the rehearsal: the old version ")
    assert f"after {ISOLATION}: " in caught.value.message
    assert message.format(role=site.shop.app.user) in caught.value.message
    assert "correct 001_isolation.sql, or take 001_isolation.coexist.sql away" in caught.value.hint
    assert caught.value.hint.endswith("the live database was not touched")
    assert judged(deployment).kind == "restore"
    assert site.shop.value("SELECT to_regclass('changeover.coexisting') IS NULL")
    assert site.databases() == {site.shop.name}


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("INSERT INTO people (nickname) VALUES ('x')", "does not exist (SQLSTATE 42703)"),
        ("UPDATE people SET age = 1 WHERE name = 'nobody'", "writes no row as"),
        (f"{INSERTS};\nSELECT generate_series(1, 1001)", "gives more than can be compared"),
    ],
)
def test_what_does_not_work_before_the_migration_proves_nothing(
    beside: Callable[[dict[str, str]], Rehearsing], old: str, message: str
) -> None:
    with pytest.raises(old_version.OldVersionBarred) as caught:
        beside({**FILES, "expand/001_isolation.coexist.sql": old}).rehearse()

    proves = f"in the rehearsal: before 1.0.0 already, so that it proves nothing of {ISOLATION}: "
    assert caught.value.message.startswith(proves)
    assert message in caught.value.message


def test_what_comes_later_in_the_release_is_met_too(
    beside: Callable[[dict[str, str]], Rehearsing],
) -> None:
    deployment = beside(
        {**FILES, "backfill/001_hidden.sql": "UPDATE people SET name = 'x' WHERE name = 'person 5'"}
    )

    with pytest.raises(old_version.OldVersionBarred) as caught:
        deployment.rehearse()

    assert "the old version cannot go on once every migration has run" in caught.value.message
    assert "UPDATE writes no row" in caught.value.message


def test_a_later_rehearsal_that_is_red_takes_back_what_an_earlier_one_proved(
    site: Site, beside: Callable[[dict[str, str]], Rehearsing]
) -> None:
    deployment = beside(FILES)
    deployment.rehearse()
    assert judged(deployment).kind == "instant"
    site.shop.rows("DELETE FROM people WHERE name = 'person 5'")
    deployment.backed_up_again()

    with pytest.raises(old_version.OldVersionBarred, match=r"before 1\.0\.0 already"):
        deployment.rehearse()

    assert judged(deployment).kind == "restore"


def test_the_old_version_writes_as_the_apps_role_and_nothing_of_it_stays(
    site: Site, beside: Callable[[dict[str, str]], Rehearsing]
) -> None:
    role = site.shop.app.user
    deployment = beside(
        {
            **FILES,
            "expand/001_isolation.coexist.sql": f"{INSERTS};\nSELECT 1 / (current_user = '{role}')::int,"
            f" 1 / (session_user = '{role}')::int, 1 / (current_database() LIKE '%rehearsal%')::int",
            "backfill/001_b.sql": "SELECT 1",
            "backfill/001_b.checks.yml": "invariants:\n  nobody came: SELECT count(*) = 500 FROM people\n",
        }
    )

    deployment.rehearse()

    assert judged(deployment).kind == "instant"
