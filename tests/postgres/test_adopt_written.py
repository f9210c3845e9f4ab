"""A baseline is written whole, once, by who may: or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.postgres.adopting import lineage, standing, untouched

from changeover.executors import migrate
from changeover.executors.migrate import failures
from changeover.executors.migrate.adoption import proof

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.own_server import Shop

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

__all__ = ["lineage", "standing"]
pytestmark = pytest.mark.postgres


def test_a_ledger_that_has_begun_is_left_alone(
    standing: Shop, lineage: list[MigrationFolder]
) -> None:
    migrate.adopt(standing.owner, lineage)
    before = standing.rows("SELECT * FROM changeover.migration")

    for attempt in (migrate.examine, migrate.adopt):
        with pytest.raises(proof.LedgerBegun, match=r"3 migrations already, adopted as 2\.0\.0"):
            attempt(standing.owner, lineage)

    assert proof.LedgerBegun.exit_code == 2
    assert standing.rows("SELECT * FROM changeover.migration") == before


def test_a_ledger_that_ran_its_migrations_itself_has_no_baseline(
    shop: Shop, lineage: list[MigrationFolder]
) -> None:
    assert migrate.began(shop.owner) is None
    migrate.apply(shop.owner, lineage[0])

    assert migrate.began(shop.owner) is None
    with pytest.raises(proof.LedgerBegun, match=r"1 migration already$"):
        migrate.examine(shop.owner, lineage)


@pytest.mark.parametrize(
    ("trust", "leaf"), [(("2.0.0/expand/009_x",), proof.TrustMisplaced), ((), proof.NothingToAdopt)]
)
def test_what_cannot_be_meant_is_a_usage_error(
    trust: tuple[str, ...], leaf: type[Exception], standing: Shop, lineage: list[MigrationFolder]
) -> None:
    with pytest.raises(leaf) as caught:
        migrate.examine(standing.owner, lineage if trust else [], trust=trust)

    assert getattr(caught.value, "exit_code", 0) == 2
    assert untouched(standing)


def test_the_proof_is_taken_again_in_the_transaction_that_writes(
    standing: Shop, lineage: list[MigrationFolder]
) -> None:
    migrate.examine(standing.owner, lineage)
    standing.rows("DROP INDEX users_name")

    with pytest.raises(proof.BaselineUnproved):
        migrate.adopt(standing.owner, lineage)

    assert standing.value("SELECT count(*) FROM changeover.migration") == 0


def test_all_of_it_is_written_or_nothing(standing: Shop, lineage: list[MigrationFolder]) -> None:
    standing.rows("""
        CREATE FUNCTION stop() RETURNS event_trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF to_regclass('changeover.baseline') IS NOT NULL THEN RAISE EXCEPTION 'no room'; END IF;
        END $$;
        CREATE EVENT TRIGGER stop ON ddl_command_end EXECUTE FUNCTION stop()
    """)

    with pytest.raises(failures.LedgerUnusable) as caught:
        migrate.adopt(standing.owner, lineage)

    assert "no room" in str(caught.value.cause)
    assert standing.value("SELECT count(*) FROM changeover.migration") == 0
    standing.rows("DROP EVENT TRIGGER stop")
    assert migrate.adopt(standing.owner, lineage).release == "2.0.0"


def test_an_older_hand_is_fenced_and_the_app_reads_nothing(
    standing: Shop, lineage: list[MigrationFolder]
) -> None:
    owner, app = standing.owner.user, standing.app.user
    standing.rows(f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT SELECT ON TABLES TO {app}")
    migrate.adopt(standing.owner, lineage, fence=8)
    standing.rows("DELETE FROM changeover.statement; DELETE FROM changeover.migration")

    with pytest.raises(failures.RunnerFenced):
        migrate.adopt(standing.owner, lineage, fence=7)

    readable = f"SELECT has_table_privilege('{app}', 'changeover.baseline', 'SELECT')"
    assert standing.value(readable) is False


def test_a_table_that_stays_locked_ends_it_with_nothing_changed(
    standing: Shop, lineage: list[MigrationFolder]
) -> None:
    with psycopg.connect(**standing.admin.parameters()) as blocker:  # type: ignore[arg-type]
        blocker.execute("LOCK TABLE users")
        with pytest.raises(failures.ConnectionLost, match="kept it waiting"):
            migrate.examine(standing.owner, lineage)

    assert untouched(standing)
