"""What migration guides do, shown to fail on a real server, beside what we do instead."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.postgres.backup.naive import Naive
from tests.postgres.own_server import BINARIES

from changeover.agent.backup import manifests
from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres


@pytest.fixture
def naive(site: Site) -> Naive:
    return Naive(site)


def migrate(site: Site) -> None:
    site.shop.rows(
        """ALTER TABLE users ADD COLUMN tier text;
        CREATE TABLE invoices (id serial, user_id bigint REFERENCES users);
        INSERT INTO orders (user_id, total) SELECT 1, n FROM generate_series(1, 50) n;
        INSERT INTO audit VALUES ('written since')"""
    )


def everything(site: Site) -> Any:  # noqa: ANN401 - rows
    return site.shop.rows(
        """SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM orders),
        (SELECT count(*) FROM audit), (SELECT sum(hashtextextended(u::text, 0)) FROM users u)"""
    )


def test_t1_a_plain_dump_cannot_be_restored_by_the_documented_command(
    site: Site, naive: Naive
) -> None:
    naive.dump("-f", naive.plain)
    done = naive.run("pg_restore", "-d", site.shop.name, naive.plain)
    assert done.returncode != 0
    assert "text format dump" in done.stderr

    before = everything(site)
    site.create()
    migrate(site)
    site.act("backup_restore", backup="one")
    assert everything(site) == before


def test_t2_a_dump_read_over_the_live_database_doubles_rows_and_rewinds_sequences(
    site: Site, naive: Naive
) -> None:
    site.create()
    before = everything(site)
    naive.dump("-f", naive.plain)
    migrate(site)

    assert naive.run("psql", "-q", "-d", site.shop.name, "-f", naive.plain).returncode == 0
    assert site.shop.value("SELECT count(*) FROM audit") == 21
    assert site.shop.value("SELECT count(*) FROM orders") == 3050
    with pytest.raises(psycopg.errors.UniqueViolation):
        site.shop.rows("INSERT INTO orders (user_id) VALUES (1)")

    site.act("backup_restore", backup="one")
    assert everything(site) == before
    site.shop.rows("INSERT INTO orders (user_id) VALUES (1)")


def test_t3_a_cut_plain_dump_loads_and_a_cut_archive_does_not_count(
    site: Site, naive: Naive
) -> None:
    naive.dump("-f", naive.plain)
    content = naive.plain.read_text()
    side = f"{site.shop.name}_naive"
    # at the end of a line, as a full disk or a cut connection between two writes leaves it
    cuts = [content[: content.index("\n", len(content) * part // 8) + 1] for part in range(2, 8)]
    strict = ("-1", "-v", "ON_ERROR_STOP=1")
    loaded = sum(naive.into(side, cut, *strict) == 0 for cut in cuts)
    assert loaded >= 4, "most cuts load without a word"
    assert naive.into(side, cuts[0], *strict) == 0
    assert site.shop.server.run("SELECT count(*) FROM users", side) < [(2000,)]

    site.create()
    directory = site.backups / "one"
    largest = max((directory / "dump").iterdir(), key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    for part in range(30):
        largest.write_bytes(whole[: len(whole) * part // 30])
        with pytest.raises(ActionError, match=largest.name):
            manifests.check(directory)


def test_t4_listing_an_archive_proves_nothing(site: Site, naive: Naive) -> None:
    site.create()
    directory = site.backups / "one"
    noticed = ours = tried = 0
    for path in sorted((directory / "dump").glob("*.gz")):
        whole = path.read_bytes()
        for broken in (whole[:-9], whole[: len(whole) // 2], b"", whole[:-5] + b"\0" + whole[-4:]):
            path.write_bytes(broken)
            tried += 1
            noticed += naive.run("pg_restore", "-l", directory / "dump").returncode != 0
            with pytest.raises(ActionError):
                manifests.check(directory)
            ours += 1
        path.write_bytes(whole)
    assert noticed == 0
    assert ours == tried > 20


def test_t6_cleaning_a_migrated_database_leaves_it_half_dropped(site: Site, naive: Naive) -> None:
    before = everything(site)
    archive = site.root / "custom.dump"
    naive.dump("-Fc", "-f", archive)
    site.create()
    migrate(site)
    done = naive.run("pg_restore", "--clean", "-d", site.shop.name, archive)
    assert "errors ignored on restore" in done.stderr
    assert everything(site) != before

    site.act("backup_restore", backup="one")
    assert everything(site) == before


def test_t11_an_empty_success_of_a_pipe_is_none_of_ours(site: Site, naive: Naive) -> None:
    server = site.shop.server
    line = f"{BINARIES}/pg_dump -h {server.directory} -p 1 nowhere | gzip > {naive.plain}.gz"
    assert subprocess.run(["sh", "-c", line], capture_output=True, check=False).returncode == 0

    site.rewrite_host(port=1)
    with pytest.raises(ActionError) as caught:
        site.create()
    assert "No such file" in str(caught.value.cause)
    assert not (site.backups / "one").exists()


def binaries(site: Site, major: int, **programs: str) -> None:
    """Install client programs of another making under the host's root."""
    folder = site.root / "postgresql" / str(major) / "bin"
    shutil.copytree(BINARIES, folder, symlinks=True)
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    site.rewrite_host(binaries=str(site.root / "postgresql"))


def test_t11_an_older_dump_program_is_refused_before_it_runs(site: Site) -> None:
    binaries(site, 14)
    with pytest.raises(ActionError, match="older than the server") as caught:
        site.create()
    assert caught.value.error == "tool-older"


def test_a_program_that_lies_about_its_folder_is_asked_for_its_version(site: Site) -> None:
    binaries(site, 15, pg_dump="echo 'pg_dump (PostgreSQL) 13.1'")
    with pytest.raises(ActionError, match=r"13\.1 is older than the server") as caught:
        site.create()
    assert caught.value.error == "tool-older"


def test_a_dump_that_writes_and_then_fails_leaves_no_backup(site: Site) -> None:
    real = f'{BINARIES}/pg_dump "$@"'
    binaries(site, 15, pg_dump=f'{real}; case "$1" in --version) ;; *) exit 1;; esac')
    with pytest.raises(ActionError, match="pg_dump ended with exit code 1"):
        site.create()
    assert site.act("backup_list") == {"backups": [], "databases": [], "unfinished": None}
    assert [path.name for path in site.backups.iterdir()] == ["lock"]
