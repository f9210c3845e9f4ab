"""More of what guides do on the way back, shown to fail on a real server, beside what we do instead."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.postgres.backup.naive import Naive
from tests.postgres.own_server import BINARIES

from changeover.agent.backup import manifests
from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres

SINCE = "INSERT INTO orders (user_id, total) SELECT 1, n FROM generate_series(1, 25) n"


@pytest.fixture
def naive(site: Site) -> Naive:
    return Naive(site)


def test_t5_one_flipped_bit_is_named_where_an_uncompressed_dump_restores_it(
    site: Site, naive: Naive
) -> None:
    archive = site.root / "naive.dump"
    naive.dump("-Fd", "-Z0", "-f", archive)
    flip(archive, b"user42@example.test")
    side = f"{site.shop.name}_naive"
    naive.into(side, "")
    assert naive.run("pg_restore", "--exit-on-error", "-d", side, archive).returncode == 0
    wrong = "SELECT 1 FROM users WHERE email = 'tser42@example.test'"
    assert site.shop.server.run(wrong, side) == [(1,)]

    site.create()
    largest = max((site.backups / "one/dump").iterdir(), key=lambda path: path.stat().st_size)
    content = largest.read_bytes()
    for place in range(0, len(content), len(content) // 16):
        broken = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        largest.write_bytes(broken)
        with pytest.raises(ActionError, match=largest.name):
            manifests.check(site.backups / "one")


def flip(archive: Path, words: bytes) -> None:
    """Flip the lowest bit of the first letter, wherever the dump holds these words."""
    for path in archive.glob("*.dat"):
        content = path.read_bytes()
        path.write_bytes(content.replace(words, bytes([words[0] ^ 1]) + words[1:]))


def test_t11_a_dump_that_may_fail_is_a_success_without_a_backup(site: Site, naive: Naive) -> None:
    site.shop.rows("CREATE ROLE reader; GRANT SELECT ON users TO reader")
    server, name = site.shop.server, site.shop.name
    asked = f"-h {server.directory} -p {server.port} -U postgres --role=reader {name}"
    # the trap itself: a line that forgives its own failure
    line = f"{BINARIES}/pg_dump {asked} > {naive.plain} || true"
    try:
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert "permission denied" in done.stderr
        assert "COPY public.users" not in naive.plain.read_text()
    finally:
        site.shop.rows("DROP OWNED BY reader; DROP ROLE reader")

    site.rewrite_host(port=1)
    with pytest.raises(ActionError):
        site.create()
    assert not (site.backups / "one").exists()


def test_t14_two_definitions_of_one_database_differ_and_ours_do_not(
    site: Site, naive: Naive
) -> None:
    first, second = (naive.run("pg_dump", "--schema-only", site.shop.name).stdout for _ in range(2))
    assert first != second, "a random key is written into each"

    site.create("one")
    site.create("two")

    one, two = ((site.backups / name / "schema.sql").read_bytes() for name in ("one", "two"))
    assert one == two
    assert b"CREATE TABLE public.users" in one
    site.act("backup_verify", backup="one")


def test_t17_an_old_dump_loses_what_was_written_since_and_nobody_counts(
    site: Site, naive: Naive
) -> None:
    name = site.shop.name
    archive = site.root / "naive.dump"
    naive.dump("-Fc", "-f", archive)
    site.create()
    site.shop.rows(SINCE)
    for tool, *words in (
        ("dropdb", "--force", name),
        ("createdb", name),
        ("pg_restore", "-d", name, archive),
    ):
        done = naive.run(str(tool), *words)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert site.shop.value("SELECT count(*) FROM orders") == 3000
    assert site.databases() == {name}, "25 orders are nowhere any more, and nothing was said"

    site.shop.rows(SINCE)
    price = site.act("backup_price", backup="one")
    done = site.act("backup_restore", backup="one")

    assert price["tables"]["public.orders"]["rows_now"] == 3025
    assert (price["rows_written"] >= 25, price["wal_bytes"] > 0) == (True, True)
    assert (done["rows_lost"], list(done["lost"])) == (25, ["public.orders"])
    assert site.shop.server.run("SELECT count(*) FROM orders", done["kept"]) == [(3025,)]
