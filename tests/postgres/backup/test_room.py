from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from changeover.agent.backup import store
from changeover.agent.failure import ActionError
from changeover.agent.postgres import room

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres


@pytest.fixture
def small(site: Site) -> Iterator[Site]:
    """Give a host whose backups lie on a disk of four megabytes."""
    site.backups.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(site.backups)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"this test needs a small disk of its own: run it as root ({done.stderr})")
    try:
        yield site
    finally:
        subprocess.run(["umount", str(site.backups)], check=True)


def test_a_disk_too_small_is_refused_before_anything_is_written(small: Site) -> None:
    with pytest.raises(ActionError, match="the dump needs") as caught:
        small.create()
    assert caught.value.error == "disk-too-small"
    assert caught.value.detail["free"] == 4 << 20
    assert [path.name for path in small.backups.iterdir()] == ["lock"]


def test_a_disk_that_fills_during_the_dump_leaves_no_backup(
    small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.shop.rows(
        """CREATE TABLE noise AS SELECT md5(n::text) || md5((n + 1)::text) AS line
        FROM generate_series(1, 200000) n"""
    )
    monkeypatch.setattr(room, "require_free", lambda *_: None)
    with pytest.raises(ActionError, match="pg_dump ended with exit code 1") as caught:
        small.create()
    assert "No space left on device" in str(caught.value.cause)
    assert [path.name for path in small.backups.iterdir()] == ["lock"]


def test_two_at_once_are_refused_with_the_reason(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCK_SECONDS", 0.1)
    site.create()
    store_lock = site.backups / "lock"
    with subprocess.Popen(
        ["flock", str(store_lock), "sh", "-c", "echo held; read line"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(ActionError) as caught:
            site.act("backup_verify", backup="one")
        holder.communicate(b"\n")
    assert caught.value.error == "backup-busy"


def test_a_backup_is_one_moment_while_the_app_writes(site: Site) -> None:
    server = site.shop.server
    total = "SELECT sum(total) FROM orders"
    site.shop.rows("ALTER TABLE orders ADD COLUMN note text")
    before = site.shop.value(total)
    move = f"""for n in $(seq 1 400); do echo "BEGIN;
        UPDATE orders SET total = total - $n WHERE id = $n;
        UPDATE orders SET total = total + $n WHERE id = $n + 1000; COMMIT;"; done |
        psql -q -h {server.directory} -p {server.port} -U postgres -d {site.shop.name}"""  # noqa: S608 - the test's own numbers
    with subprocess.Popen(["sh", "-c", move]) as writer:
        site.create()
        writer.wait(60)
    assert site.shop.value(total) == before
    side = site.act("backup_verify", backup="one", keep=True)["kept"]
    assert server.run(total, side) == [(before,)]


def test_the_manifest_says_what_was_backed_up(site: Site) -> None:
    site.create(schema_version="7.0.0/3")
    manifest = json.loads((site.backups / "one/manifest.json").read_text())
    assert manifest["schema_version"] == "7.0.0/3"
    assert manifest["release"] == "7.0.0"
    assert manifest["tables"]["public.users"]["rows"] == 2000
    assert manifest["settings"]["owner"] == f"{site.shop.name}_owner"
    assert manifest["wal_lsn"].count("/") == 1
    assert manifest["sequences"]["public.orders_id_seq"]["last_value"] == 3000
    assert "dump/toc.dat" in manifest["members"]
