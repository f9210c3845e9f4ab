"""What a dump does not bring along: subscriptions, rows of extensions, encodings and tablespaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.postgres.backup.conftest import fresh_site
from tests.postgres.disks import small_disk

from changeover.agent.backup import side_database
from changeover.agent.failure import ActionError
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import Server
from changeover.executors.backup import Restored

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site
    from tests.postgres.own_server import Shop

pytestmark = pytest.mark.postgres

SUBSCRIPTIONS = """SELECT subname, datname, subslotname FROM pg_subscription s
    JOIN pg_database d ON d.oid = s.subdbid"""
TABLESPACES = """SELECT datname, spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace
    WHERE spcname LIKE 'fast_%'"""


def test_a_subscription_stays_with_the_database_that_it_was_made_in(site: Site) -> None:
    run, name = site.shop.server.run, f"orders_{site.shop.name}"
    site.shop.rows(
        f"CREATE SUBSCRIPTION {name} CONNECTION 'dbname=none password=canary' PUBLICATION p"
        " WITH (connect = false)"
    )
    site.shop.rows("CREATE PUBLICATION ours FOR TABLE orders")
    site.create()
    (dumped,) = site.backups.glob("one/schema.sql")
    side = site.act("backup_verify", backup="one", keep=True)["kept"]
    assert run(SUBSCRIPTIONS) == [(name, site.shop.name, name)]
    # as an older agent made it
    run(f"CREATE SUBSCRIPTION {name} CONNECTION '' PUBLICATION p WITH (connect = false)", side)
    site.act("backup_rehearsal", backup="one")
    site.act("backup_rehearsal_end", backup="one", keep=False)
    assert site.databases() == {site.shop.name}

    restored = site.act("backup_restore", backup="one")

    assert run(SUBSCRIPTIONS) == [(name, restored["kept"], name)]
    (warning,) = Restored.read(restored).warnings
    assert f"nothing of it here: {name}" in warning
    assert site.shop.value("SELECT count(*) FROM pg_publication") == 1
    assert "canary" not in dumped.read_text()
    reached = Server(socket=str(site.shop.server.directory), port=site.shop.server.port)
    with Session(reached, "postgres") as session:
        side_database.drop(session, restored["kept"])
    assert run(SUBSCRIPTIONS) == []


def test_rows_of_an_extension_that_no_dump_holds_are_missed(site: Site) -> None:
    site.shop.rows(
        """CREATE EXTENSION hstore; CREATE TABLE precious (id int PRIMARY KEY);
        ALTER EXTENSION hstore ADD TABLE precious"""
    )
    site.create()
    site.shop.rows("INSERT INTO precious SELECT generate_series(1, 500)")
    price = site.act("backup_price", backup="one")
    assert price["tables"]["public.precious"]["left_at_most"] == 500
    site.create("two")

    with pytest.raises(ActionError, match="belongs to extension hstore") as caught:
        site.act("backup_verify", backup="two")

    assert caught.value.error == "backup-differs"
    assert "500 rows" in caught.value.message
    assert 'ALTER EXTENSION "hstore" DROP TABLE public.precious' in caught.value.message
    site.shop.rows("ALTER EXTENSION hstore DROP TABLE precious")
    site.create("three")
    site.act("backup_verify", backup="three")


def test_an_extension_of_another_version_is_told(site: Site) -> None:
    site.shop.rows("CREATE EXTENSION pg_trgm VERSION '1.3'")
    site.create()

    then, now = site.act("backup_verify", backup="one")["extensions"]["pg_trgm"]

    assert then == "1.3"
    assert now > then


def test_a_database_may_speak_another_encoding_to_its_clients(site: Site) -> None:
    site.shop.rows("CREATE TABLE größe (naïve text); INSERT INTO größe VALUES ('ö €')")
    latin = f"ALTER DATABASE {site.shop.name} SET client_encoding TO 'LATIN1'"
    plain = f"ALTER DATABASE {site.shop.name} RESET client_encoding"
    site.shop.server.run(latin)
    site.create()
    site.act("backup_verify", backup="one")
    site.shop.server.run(plain)
    site.shop.rows("INSERT INTO größe VALUES ('ä')")
    site.shop.server.run(latin)

    restored = site.act("backup_restore", backup="one")

    site.shop.server.run(plain)
    assert restored["lost"]['public."größe"']["lost"] == 1
    assert site.shop.rows("SELECT * FROM größe") == [("ö €",)]


def test_a_database_of_bytes_that_are_no_text_is_backed_up_like_any_other(shop: Shop) -> None:
    run = shop.server.run
    run(f"DROP DATABASE {shop.name}")
    run(
        f"CREATE DATABASE {shop.name} OWNER {shop.owner.user} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    odd = "convert_from('\\x67f6df'::bytea, 'SQL_ASCII')"
    with fresh_site(shop) as site:
        make = f"EXECUTE format('CREATE TABLE %I AS SELECT %L::text AS %I', {odd}, {odd}, {odd})"
        shop.rows(f"DO $$BEGIN {make}; END$$")
        site.create()
        site.act("backup_verify", backup="one")
        add = f"EXECUTE format('INSERT INTO %I VALUES (1)', {odd})"  # noqa: S608 - the test's own
        shop.rows(f"DO $$BEGIN {add}; END$$")
        done = site.agent("backup_price", backup="one").last()
        assert len(done["result"]["tables"]) == 1

        restored = site.act("backup_restore", backup="one")

        assert restored["rows_lost"] == 1
        assert len(site.act("backup_diff", examples=1)["tables"]) == 1


def test_a_database_stays_in_its_tablespace(site: Site) -> None:
    run, fast = site.shop.server.run, f"fast_{site.shop.name}"
    with small_disk("120m") as disk:
        run(f"CREATE TABLESPACE {fast} LOCATION '{disk.path}'")
        try:
            run(f"ALTER DATABASE {site.shop.name} SET TABLESPACE {fast}")
            site.create()
            kept = site.act("backup_verify", backup="one", keep=True)["kept"]
            clone = site.act("backup_rehearsal", backup="one")["database"]
            assert run(TABLESPACES) == [(one, fast) for one in (site.shop.name, kept, clone)]
            site.act("backup_rehearsal_end", backup="one", keep=False)
            disk.leave(9 << 20)
            with pytest.raises(
                ActionError, match="the restore beside the live one needs"
            ) as caught:
                site.act("backup_verify", backup="one")
            assert str(disk.path) in caught.value.message
            (disk.path / "filled").unlink()

            restored = site.act("backup_restore", backup="one")

            assert {name for name, _ in run(TABLESPACES)} == {site.shop.name, restored["kept"]}
        finally:
            for name in site.databases():
                run(f"DROP DATABASE {name} WITH (FORCE)")
            run(f"DROP TABLESPACE {fast}")
