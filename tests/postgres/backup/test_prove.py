from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

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
