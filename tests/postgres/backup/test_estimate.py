"""What the server's own counts tell of the writes since a backup, and where they tell nothing."""

from __future__ import annotations

import json
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest
from tests.postgres.backup.conftest import fresh_site
from tests.postgres.moments import until
from tests.postgres.own_server import connect, fresh_shop, running_server

from changeover.agent.backup import manifests

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres

SEEDED = 2000 + 3000 + 10 + 500 + 3
INSERTED = "SELECT sum(n_tup_ins) FROM pg_stat_user_tables"
# What a session has counted is everybody's after its statement.
TOLD = "SELECT pg_stat_force_next_flush()"


def counted_backup(site: Site) -> None:
    """Take a backup once the server has counted all that the site was made with."""
    until(lambda: site.shop.value(INSERTED) == SEEDED)
    site.create()


def write(site: Site, *statements: str) -> None:
    with connect(site.shop.admin) as connection:
        for statement in statements:
            connection.execute(statement.encode())
        connection.execute(TOLD)


def estimated(site: Site) -> Any:  # noqa: ANN401 - JSON
    return site.act("backup_estimate", backup="one")


def figures(found: Any) -> dict[str, tuple[Any, ...]]:  # noqa: ANN401 - JSON
    return {
        name: (each["inserted"], each["updated"], each["deleted"], each["is"])
        for name, each in found["tables"].items()
    }


def older(site: Site) -> None:
    """Have the backup be one that an older agent took: it noted nothing of the counts but the counts."""
    directory = site.backups / "one"
    manifest = json.loads((directory / "manifest.json").read_text())
    del manifest["counted_from"]
    for table in manifest["tables"].values():
        table.pop("oid", None)
    raw = (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
    (directory / "manifest.json").write_bytes(raw)
    (directory / "SHA256SUMS").write_bytes(manifests.sums(raw, manifest["members"]))


def test_writes_are_told_by_table_while_nobody_may_read_one(site: Site) -> None:
    counted_backup(site)
    assert (estimated(site)["rows_written"], figures(estimated(site))) == (0, {})

    write(
        site,
        "INSERT INTO audit VALUES ('since'), ('since')",
        "UPDATE users SET score = 1 WHERE id <= 4",
        "UPDATE users SET score = 2 WHERE id <= 4",
        "DELETE FROM orders WHERE id <= 5",
        "CREATE SCHEMA changeover; CREATE TABLE changeover.run AS SELECT 1",
    )
    with connect(site.shop.admin) as connection, connection.transaction():
        connection.execute("LOCK TABLE users, orders, audit, visits IN ACCESS EXCLUSIVE MODE")
        found = estimated(site)

    assert (found["backup"], found["uncounted"]) == ("one", "")
    assert figures(found) == {
        "public.audit": (2, 0, 0, "there"),
        "public.orders": (0, 0, 5, "there"),
        "public.users": (0, 8, 0, "there"),
    }
    assert (found["rows_written"], found["rows_deleted"]) == (10, 5)
    assert found["wal_bytes"] > 0
    assert site.act("backup_price", backup="one")["left_at_most"] <= found["rows_written"]


@pytest.mark.parametrize("by", ["this agent", "an older one"])
def test_a_table_is_itself_by_any_name_and_another_one_once_made_anew(site: Site, by: str) -> None:
    counted_backup(site)
    if by == "an older one":
        older(site)
    write(
        site,
        "INSERT INTO audit VALUES ('since')",
        "ALTER TABLE audit RENAME TO events",
        "DROP TABLE orders",
        "CREATE TABLE orders AS SELECT n FROM generate_series(1, 7) n",
        "CREATE TABLE later AS SELECT 1",
        "DROP TABLE visits",
    )

    found = figures(estimated(site))

    assert found.pop("public.later") == (1, 0, 0, "new")
    assert found.pop("public.visits_2024") == (0, 0, 500, "gone")
    if by == "this agent":
        assert found.pop("public.events") == (1, 0, 0, "there")
    else:  # names are all that it has
        assert found.pop("public.audit") == (0, 0, 10, "gone")
        assert found.pop("public.events") == (11, 0, 0, "new")
    assert found == {"public.orders": (7, 0, 3000, "new")}


@pytest.mark.parametrize("by", ["this agent", "an older one"])
def test_counts_that_were_reset_are_no_counts_however_high_they_are_again(
    site: Site, by: str
) -> None:
    counted_backup(site)
    if by == "an older one":
        older(site)
    assert estimated(site)["uncounted"] == ""
    write(site, "SELECT pg_stat_reset()")
    write(site, "INSERT INTO audit SELECT 'since' FROM generate_series(1, 9000)")

    found = estimated(site)

    assert found["uncounted"] == "counts-reset"
    assert (found["rows_written"], found["rows_deleted"], found["tables"]) == (None, None, {})
    assert found["wal_bytes"] > 0


def test_a_database_that_took_the_live_one_s_place_was_counted_from_its_own_start(
    site: Site,
) -> None:
    counted_backup(site)
    site.act("backup_restore", backup="one")

    found = estimated(site)

    assert (found["uncounted"], found["rows_written"]) == ("another-database", None)
    assert found["wal_bytes"] > 0


def test_a_crash_forgets_the_counts_and_another_cluster_has_others(site: Site) -> None:
    with (
        running_server() as server,
        fresh_shop(server) as shop,
        fresh_site(shop) as crashed,
    ):
        counted_backup(crashed)
        server.stop()
        server.start()
        assert estimated(crashed)["uncounted"] == "", "a restart keeps what was counted"
        server.stop(signal.SIGQUIT)
        server.start()

        assert estimated(crashed)["uncounted"] == "counts-reset"
        site.backups.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(crashed.backups, site.backups)

    found = estimated(site)
    assert (found["uncounted"], found["rows_written"]) == ("another-cluster", None)
    assert found["wal_bytes"] is None
