from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.postgres.moments import until

from changeover.agent import backup_content

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

    from changeover.agent.backup_store import Record
    from changeover.agent.postgres_session import Session

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
    read = backup_content.fingerprints

    def read_late(session: Session, how: str = "value") -> Record:
        found = read(session, how)
        if session.value("SELECT current_database() AS name") == site.shop.name:
            until(lambda: list(site.backups.glob("*/dump/toc.dat")))  # the dump's last file
            site.shop.rows("INSERT INTO orders (user_id, total) VALUES (1, 1)")
        return found

    monkeypatch.setattr("changeover.agent.backup_content.fingerprints", read_late)
    site.create()

    assert site.act("backup_verify", backup="one")["rows"] > 0
