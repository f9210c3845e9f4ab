"""A disk that has no room for what is restored beside the live database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.postgres.backup.conftest import fresh_site
from tests.postgres.disks import Disk, small_disk
from tests.postgres.moments import until
from tests.postgres.own_server import fresh_shop, running_server

from changeover.agent.backup import side_database
from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres

MEGABYTE = 1 << 20
# The restore builds the index for as long as the file is there.
HELD = """
CREATE FUNCTION held(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN
    WHILE (SELECT f.size FROM pg_catalog.pg_stat_file('{}', true) AS f) IS NOT NULL
    LOOP PERFORM pg_catalog.pg_sleep(0.01); END LOOP;
    RETURN n; END$$;
CREATE INDEX held ON orders (held(id))"""
BUILDING = (
    "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX held%' AND state = 'active'"
)


@pytest.fixture
def cramped() -> Iterator[tuple[Site, Disk]]:
    """Give a host whose server, with its log, lies on a disk of half a gigabyte."""
    with small_disk("500m") as disk:
        directory = disk.path / "server"
        directory.mkdir()
        with (
            running_server(directory=directory, settings={"max_wal_size": "64MB"}) as server,
            fresh_shop(server) as shop,
            fresh_site(shop) as site,
        ):
            yield site, disk


def held_file(site: Site) -> Path:
    path: Path = site.shop.server.directory / "held"
    site.shop.rows(HELD.format(path))
    return path


def test_room_is_asked_for_the_log_that_a_copy_writes(cramped: tuple[Site, Disk]) -> None:
    site, disk = cramped
    size = site.create()["database_bytes"]
    site.act("backup_verify", backup="one", keep=True)
    disk.leave(int(1.2 * size) + 100 * MEGABYTE)

    with pytest.raises(ActionError, match="the rehearsal's clone needs") as caught:
        site.act("backup_rehearsal", backup="one")
    assert caught.value.error == "disk-too-small"
    with pytest.raises(ActionError, match="the restore beside the live one needs") as caught:
        site.act("backup_verify", backup="one")

    assert caught.value.error == "disk-too-small"
    assert site.databases() == {site.shop.name}


def test_room_is_asked_for_the_files_that_indexes_are_sorted_in(site: Site) -> None:
    made = site.create()
    manifest = json.loads((site.backups / "one/manifest.json").read_text())
    sizes = "SELECT pg_relation_size(oid) FROM pg_class WHERE relkind = 'i' AND oid >= 16384"
    largest = sorted((size for (size,) in site.shop.rows(sizes)), reverse=True)[:4]

    assert manifest["largest_indexes"] == largest
    assert side_database.needed(manifest) == int(1.2 * made["database_bytes"]) + sum(largest)


def test_a_restore_ends_before_the_live_server_has_no_room_for_its_log(
    cramped: tuple[Site, Disk],
) -> None:
    site, disk = cramped
    held = held_file(site)
    site.create()
    held.touch()
    verifying = site.agent("backup_verify", backup="one")
    until(lambda: site.shop.rows(BUILDING))

    disk.leave(32 * MEGABYTE)
    answer = verifying.last()
    held.unlink()

    assert answer.get("error") == "disk-too-small", answer
    assert "beside a restore that has grown" in answer["message"]
    assert site.databases() == {site.shop.name}
    assert site.shop.rows("INSERT INTO audit VALUES ('as before') RETURNING line") == [
        ("as before",)
    ]


def test_a_disk_that_is_full_is_not_told_as_a_backup_that_differs(site: Site) -> None:
    run, space = site.shop.server.run, f"small_{site.shop.name}"
    with small_disk("6m") as disk:
        run(f"CREATE TABLESPACE {space} LOCATION '{disk.path}'")
        rows = "SELECT repeat('x', 900) AS line FROM generate_series(1, 4000)"
        site.shop.rows(f"CREATE TABLE much TABLESPACE {space} AS {rows}")
        try:
            site.create()
            with pytest.raises(ActionError) as caught:
                site.act("backup_verify", backup="one")
        finally:
            site.shop.rows("DROP TABLE much")
            run(f"DROP TABLESPACE {space}")

    assert caught.value.error == "disk-full"
    assert "No space left on device" in str(caught.value.cause)
    assert site.databases() == {site.shop.name}
