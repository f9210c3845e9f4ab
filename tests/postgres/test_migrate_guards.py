"""What a migration, a policy or a default of the database could turn off: it does not go unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.postgres.conftest import connect

from changeover.executors import migrate
from changeover.executors.migrate import failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.conftest import Shop

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

USERS = """CREATE TABLE users (id integer PRIMARY KEY, name text, plan text);
INSERT INTO users SELECT n, 'canary ' || n, NULL FROM generate_series(1, 20) AS n"""
PLANS = "UPDATE users SET plan = 'free'"
HIDDEN = """CREATE POLICY mine ON users USING (id < 3);
ALTER TABLE users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"""
DEFERRED = """CREATE TABLE plans (name text PRIMARY KEY);
ALTER TABLE users ADD FOREIGN KEY (plan) REFERENCES plans DEFERRABLE INITIALLY DEFERRED"""
LATE = """CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN DELETE FROM users WHERE id > 10; RETURN NULL; END$$;
CREATE TABLE notes (line text);
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION lose()"""


def apply(shop: Shop, folder: MigrationFolder) -> None:
    migrate.apply(shop.owner, folder)


def test_a_backfill_does_not_leave_out_the_rows_that_a_policy_hides(
    shop: Shop, release: Release
) -> None:
    naive = "SELECT count(*) = 0 FROM users WHERE plan IS NULL"
    with_policy = {"expand/001_users.sql": USERS, "expand/002_policy.sql": HIDDEN}
    apply(shop, release(with_policy))
    with connect(shop.owner) as owner:
        owner.execute(PLANS)
        assert owner.execute(naive).fetchone() == (True,), "the naive backfill is verified"
    shop.rows("UPDATE users SET plan = NULL")

    batch = (
        "-- changeover: batch table=users key=id\n"
        "UPDATE users SET plan = 'free' WHERE id BETWEEN $1 AND $2"
    )
    with pytest.raises(failures.StatementFailed, match="affected by row-level security"):
        apply(shop, release(with_policy | {"backfill/001_plan.sql": batch}))
    with pytest.raises(failures.VerifyFailed, match="cannot be asked"):
        apply(
            shop,
            release(
                with_policy
                | {"expand/003_check.sql": "SELECT 1", "expand/003_check.verify.sql": naive}
            ),
        )
    assert shop.value("SELECT count(plan) FROM users") == 0


def test_what_a_deferred_constraint_refuses_names_the_file(shop: Shop, release: Release) -> None:
    change = "UPDATE users SET plan = 'canary-plan' WHERE id = 1"
    folder = release({"expand/001_users.sql": f"{USERS};{DEFERRED}", "expand/002_plan.sql": change})

    with pytest.raises(failures.StatementFailed, match=r"002_plan\.sql:1: COMMIT failed") as caught:
        apply(shop, folder)

    assert "violates foreign key constraint" in caught.value.message
    assert "canary" not in f"{caught.value.message} {caught.value.cause}"
    assert shop.value("SELECT count(plan) FROM users") == 0


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("verify.sql", "SELECT count(*) = 20 FROM users", failures.VerifyFailed),
        ("checks.yml", "rows: {users: 0}", failures.DataCheckFailed),
    ],
)
def test_what_a_deferred_trigger_takes_away_is_seen_before_the_commit(
    shop: Shop, release: Release, name: str, text: str, error: type[Exception]
) -> None:
    folder = release(
        {
            "expand/001_users.sql": f"{USERS};{LATE}",
            "expand/002_note.sql": "INSERT INTO notes VALUES ('one')",
            f"expand/002_note.{name}": text,
        }
    )

    with pytest.raises(error):
        apply(shop, folder)

    assert shop.value("SELECT count(*) FROM users") == 20


@pytest.mark.parametrize(
    "sets",
    [
        "SELECT set_config('search_path', 'elsewhere', false)",
        "DO $$BEGIN SET search_path = elsewhere; END$$",
    ],
)
def test_a_setting_ends_with_its_migration_however_it_was_made(
    shop: Shop, release: Release, sets: str
) -> None:
    apply(
        shop,
        release(
            {
                "expand/001_sets.sql": f"CREATE SCHEMA elsewhere; {sets}",
                "expand/002_next.sql": "CREATE TABLE after ()",
            }
        ),
    )

    assert shop.value("SELECT to_regclass('public.after')") is not None


def test_limits_and_isolation_are_ours_whatever_the_file_and_the_database_say(
    shop: Shop, release: Release
) -> None:
    name = shop.name
    shop.rows(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    text = """SELECT set_config('lock_timeout', '0', false), set_config('statement_timeout', '0', false);
    CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS lock,
        current_setting('statement_timeout') AS statement, current_setting('transaction_isolation') AS level"""
    apply(shop, release({"expand/001_seen.sql": text}))

    ((lock, statement, level),) = shop.rows("SELECT * FROM seen")
    assert (lock, level) == ("100ms", "read committed")
    assert statement != "0"


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE users ALTER COLUMN plan SET NOT NULL; INSERT INTO users VALUES (99, 'canary')",
        "INSERT INTO users VALUES (1, 'canary', 'canary')",
        "ALTER TABLE users ALTER COLUMN name TYPE integer USING name::integer",
    ],
)
def test_no_value_of_a_row_is_told(shop: Shop, release: Release, change: str) -> None:
    folder = release(
        {
            "expand/001_users.sql": f"{USERS}; {PLANS}",
            "expand/002_change.sql": change,
        }
    )

    with pytest.raises(failures.StatementFailed) as caught:
        apply(shop, folder)

    assert "SQLSTATE" in str(caught.value.cause)
    assert "canary" not in f"{caught.value.message} {caught.value.cause}"
