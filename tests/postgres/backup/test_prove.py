from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.postgres.moments import until
from tests.postgres.own_server import BINARIES

from changeover.agent.backup import manifests
from changeover.agent.failure import ActionError
from changeover.agent.postgres import content

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

    from changeover.agent.backup.store import Record
    from changeover.agent.postgres.session import Session

pytestmark = pytest.mark.postgres


def test_a_backup_is_restored_beside_the_live_database_and_proved_equal(site: Site) -> None:
    made = site.create()
    proof = site.act("backup_verify", backup="one")

    assert made["rows"] == proof["rows"] == 2000 + 3000 + 10 + 500 + 3 + 1
    assert site.databases() == {site.shop.name}
    (listed,) = site.act("backup_list")["backups"]
    assert listed["proved"]["digest"] == proof["digest"]
    subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=site.backups / "one",
        check=True,
        capture_output=True,
    )


def test_a_sequence_that_is_drawn_from_after_the_dump_has_read_it_is_not_behind(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = content.fingerprints

    def read_late(session: Session, how: str = "value") -> Record:
        found = read(session, how)
        if session.value("SELECT current_database() AS name") == site.shop.name:
            until(lambda: list(site.backups.glob("*/dump/toc.dat")))  # the dump's last file
            site.shop.rows("INSERT INTO orders (user_id, total) VALUES (1, 1)")
        return found

    monkeypatch.setattr("changeover.agent.postgres.content.fingerprints", read_late)
    site.create()

    assert site.act("backup_verify", backup="one")["rows"] > 0


def proved(site: Site) -> bool:
    (listed,) = site.act("backup_list")["backups"]
    return bool(listed["proved"])


def unnoted(site: Site, fact: str) -> None:
    """Close the backup again as an agent did that did not know this fact."""
    directory = site.backups / "one"
    manifest = json.loads((directory / "manifest.json").read_text())
    del manifest[fact]
    raw = (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
    (directory / "manifest.json").write_bytes(raw)
    (directory / "SHA256SUMS").write_bytes(manifests.sums(raw, manifest["members"]))


def test_a_backup_that_cannot_be_restored_any_more_loses_its_proof(site: Site) -> None:
    role = f"{site.shop.name}_gone"
    site.shop.rows(f"CREATE ROLE {role}; ALTER TABLE audit OWNER TO {role}")
    site.create()
    unnoted(site, "roles")
    site.act("backup_verify", backup="one")
    site.shop.rows(f"ALTER TABLE audit OWNER TO postgres; DROP ROLE {role}")

    with pytest.raises(ActionError) as caught:
        site.act("backup_verify", backup="one")

    assert caught.value.error == "restore-failed"
    assert f'role "{role}" does not exist' in str(caught.value.cause)
    assert not proved(site)


@pytest.mark.parametrize(
    ("at", "error"), [("--file=/dev/null", "tool-failed"), ("-d", "restore-failed")]
)
def test_a_restoring_program_that_is_killed_says_nothing_of_the_backup(
    site: Site, at: str, error: str
) -> None:
    site.create()
    site.act("backup_verify", backup="one")
    folder = site.root / "postgresql/15/bin"
    shutil.copytree(BINARIES, folder, symlinks=True)
    (folder / "pg_restore").write_text(
        f'#!/bin/sh\ncase " $* " in *" {at} "*) kill -9 $$;; esac\nexec {BINARIES}/pg_restore "$@"\n'
    )
    site.rewrite_host(binaries=str(site.root / "postgresql"))

    with pytest.raises(ActionError) as caught:
        site.act("backup_verify", backup="one")

    assert caught.value.error == error
    assert proved(site)
    assert site.databases() == {site.shop.name}
