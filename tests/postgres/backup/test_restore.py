from __future__ import annotations

import contextlib
import json
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import psycopg
import pytest
from tests.postgres.moments import until

from changeover.agent.backup import manifests, restore
from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres

LATER = """
INSERT INTO users (email) SELECT 'late' || n FROM generate_series(1, 7) n;
UPDATE users SET status = 'gone' WHERE id <= 3;
DELETE FROM orders WHERE id <= 5;
INSERT INTO audit VALUES ('the same line'), ('the same line');
ALTER TABLE visits ADD COLUMN referrer text DEFAULT 'none';
CREATE TABLE invoices AS SELECT n FROM generate_series(1, 11) n"""


class Client:
    """An app that comes back at once, however often it is thrown out."""

    def __init__(self, site: Site) -> None:
        self._parameters: dict[str, Any] = dict(site.shop.app.parameters())
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._insist)
        self.sessions = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    def _insist(self) -> None:
        while not self._left.is_set():
            with (
                contextlib.suppress(psycopg.OperationalError),
                psycopg.connect(**self._parameters) as connection,
            ):
                self.sessions += 1
                while not self._left.wait(0.002):
                    connection.execute("SELECT 1")


@contextlib.contextmanager
def admin(site: Site) -> Iterator[psycopg.Connection[Any]]:
    parameters: dict[str, Any] = site.shop.server.admin().parameters()
    with psycopg.connect(**parameters, autocommit=True) as connection:
        yield connection


def sessions(connection: psycopg.Connection[Any], name: str) -> set[int]:
    """Return the processes of a database's sessions."""
    rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE datname = %s", [name])
    return {pid for (pid,) in rows}


def test_what_is_lost_is_counted_by_row_and_the_database_left_is_kept(site: Site) -> None:
    site.create()
    site.shop.rows(LATER)

    price = site.act("backup_price", backup="one")
    done = site.act("backup_restore", backup="one")

    assert site.shop.value("SELECT count(*) FROM users") == 2000
    assert done["lost"] == {
        "public.users": {"rows_before": 2007, "rows_after": 2000, "lost": 10},
        "public.orders": {"rows_before": 2995, "rows_after": 3000, "lost": 0},
        "public.audit": {"rows_before": 12, "rows_after": 10, "lost": 2},
        "public.invoices": {"rows_before": 11, "rows_after": None, "lost": 11},
    }
    assert done["rows_lost"] == 23
    assert site.shop.server.run("SELECT count(*) FROM users", done["kept"]) == [(2007,)]
    assert site.databases() == {site.shop.name, done["kept"]}
    assert set(price["tables"]) == set(done["lost"])
    assert price["tables"]["public.users"]["rows_now"] == 2007
    assert {name: table["left_at_most"] for name, table in price["tables"].items()} == {
        name: table["lost"] for name, table in done["lost"].items()
    }
    assert price["left_at_most"] == done["rows_lost"]
    assert price["tables"]["public.users"]["back_at_most"] == 3
    assert price["back_at_most"] == 3 + 5
    assert price["wal_bytes"] > 0
    assert price["rows_written"] >= 7 + 5 + 2 + 11


def test_owner_grants_and_settings_are_those_of_the_live_database(site: Site) -> None:
    name, role = site.shop.name, f"{site.shop.name}_app"
    site.create()
    side = site.act("backup_verify", backup="one", keep=True)["kept"]
    # what a try that was cut short had given, and the live one no longer has
    site.shop.server.run(
        f"""GRANT CONNECT ON DATABASE {side} TO pg_monitor;
        GRANT CREATE ON DATABASE {side} TO {role} WITH GRANT OPTION;
        SET ROLE {role}; GRANT CREATE ON DATABASE {side} TO pg_signal_backend; RESET ROLE;
        ALTER ROLE {role} IN DATABASE {side} SET work_mem = '9MB';
        ALTER DATABASE {side} SET lock_timeout = '9s'"""
    )
    site.shop.rows(
        f"""REVOKE ALL ON DATABASE {name} FROM PUBLIC;
        GRANT CONNECT ON DATABASE {name} TO {role};
        GRANT CREATE ON DATABASE {name} TO {role} WITH GRANT OPTION;
        SET ROLE {role}; GRANT CREATE ON DATABASE {name} TO pg_monitor; RESET ROLE;
        ALTER DATABASE {name} SET search_path TO "$user", public, "odd Schema";
        ALTER DATABASE {name} SET work_mem = '5MB';
        ALTER DATABASE {name} SET "app.tenant" = 'it''s';
        ALTER ROLE {role} IN DATABASE {name} SET statement_timeout = '7s';
        ALTER DATABASE {name} CONNECTION LIMIT 33;
        COMMENT ON DATABASE {name} IS 'the shop''s own'"""
    )
    told = f"""SELECT pg_get_userbyid(datdba), datconnlimit, datallowconn,
        shobj_description(oid, 'pg_database'),
        (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a),
        (SELECT array_agg(setrole::regrole::text || setting ORDER BY setting)
         FROM pg_db_role_setting, unnest(setconfig) setting WHERE setdatabase = d.oid)
        FROM pg_database d WHERE datname = '{name}'"""  # noqa: S608 - the test's own name
    before = site.shop.rows(told)

    assert site.act("backup_restore", backup="one")["warm"]

    assert site.shop.rows(told) == before
    with psycopg.connect(**site.shop.app.parameters()) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("7s",)


def test_t15_a_client_that_reconnects_at_once_wins_against_rename_and_never_against_us(
    site: Site,
) -> None:
    name = site.shop.name
    site.create()
    with Client(site) as client, admin(site) as connection:
        until(lambda: client.sessions)
        for _ in range(2):
            thrown_out = sessions(connection, name)
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            until(lambda before=thrown_out: sessions(connection, name) - before)  # type: ignore[misc]
            with pytest.raises(psycopg.errors.ObjectInUse):
                connection.execute(f"ALTER DATABASE {name} RENAME TO {name}_gone".encode())

        for _ in range(2):
            done = site.act("backup_restore", backup="one")
            assert not done["resumed"]
    assert len(site.databases()) >= 2


def test_a_warm_side_database_is_used_and_one_that_was_written_to_is_not(site: Site) -> None:
    site.create()
    side = site.act("backup_verify", backup="one", keep=True)["kept"]
    assert site.act("backup_restore", backup="one")["warm"]

    site.act("backup_verify", backup="one", keep=True)
    site.shop.server.run("DELETE FROM orders WHERE id = 1", side)
    assert not site.act("backup_restore", backup="one")["warm"]
    assert site.shop.value("SELECT count(*) FROM orders") == 3000


def test_a_prepared_transaction_refuses_before_anything_is_touched(site: Site) -> None:
    site.create()
    site.shop.rows("BEGIN; INSERT INTO audit VALUES ('x'); PREPARE TRANSACTION 'two phases'")
    try:
        with pytest.raises(ActionError, match="prepared transactions") as caught:
            site.act("backup_restore", backup="one")
        assert caught.value.cause == "two phases"
    finally:
        site.shop.rows("ROLLBACK PREPARED 'two phases'")


def test_two_restores_within_a_second_keep_both_databases(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {name: getattr(time, name) for name in ("strftime", "gmtime")}
    stopped = SimpleNamespace(time=lambda: 1_800_000_000.0, **names)
    monkeypatch.setattr(restore, "time", stopped)
    site.create()

    kept = [site.act("backup_restore", backup="one")["kept"] for _ in range(2)]

    name = site.shop.name
    assert kept == [f"{name}_failed_20270115080000", f"{name}_failed_20270115080001"]
    assert {name, *kept} <= site.databases()


def test_a_restore_whose_rows_cannot_be_counted_is_a_restore_all_the_same(site: Site) -> None:
    site.create()
    site.shop.rows("CREATE TABLE unread AS SELECT 1 AS n; CHECKPOINT")
    file = site.shop.value("SELECT pg_relation_filepath('unread')")
    (site.shop.server.data / file).unlink()

    done = site.act("backup_restore", backup="one")

    assert (done["lost"], done["rows_lost"]) == (None, None)
    assert "could not open file" in done["uncounted"]
    assert site.shop.value("SELECT to_regclass('unread') IS NULL")
    assert site.databases() == {site.shop.name, done["kept"]}
    assert site.act("backup_list")["unfinished"] is None


def test_a_restore_that_is_not_equal_to_its_backup_leaves_nothing_beside(site: Site) -> None:
    site.create()
    directory = site.backups / "one"
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["tables"]["public.audit"]["rows"] += 1
    content = json.dumps(manifest).encode()
    (directory / "manifest.json").write_bytes(content)
    (directory / "SHA256SUMS").write_bytes(manifests.sums(content, manifest["members"]))

    with pytest.raises(ActionError) as caught:
        site.act("backup_restore", backup="one")

    assert caught.value.error == "backup-differs"
    assert site.databases() == {site.shop.name}
