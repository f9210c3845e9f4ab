"""A release that migrates by Prisma: what its bundle holds is enough, and nothing is downloaded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.postgres.own_server import connect
from tests.unit.conftest import make_key

from changeover import bundle
from changeover.release import load_app, load_release

if TYPE_CHECKING:
    from tests.postgres.conftest import Shop

pytestmark = pytest.mark.postgres
CHECKOUT = Path(__file__).resolve().parents[2]
APP, VERSION = "board", "2.0.0"
COLUMNS = "SELECT string_agg(column_name, ' ' ORDER BY column_name) FROM information_schema.columns WHERE table_name IN ('posts', 'topics')"


@dataclass(frozen=True)
class Placed:
    """A bundle's code where a host would have it, and the database of the test."""

    code: Path
    migrator: dict[str, Any]
    shop: Shop

    def run(self, what: str) -> tuple[int, str]:
        """Run a command of the migrator as its host would; return how it ended and what it said."""
        owner = self.shop.owner
        reach = f"{owner.user}:{owner.password.reveal()}@{owner.host}:{owner.port}/{owner.name}"
        done = subprocess.run(
            self.migrator[what],
            cwd=self.code,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.code.parent),
                "DATABASE_URL": f"postgresql://{reach}",
                # where nobody answers: what wants to be downloaded fails
                "PRISMA_ENGINES_MIRROR": "http://127.0.0.1:9",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def columns(self) -> str:
        with connect(self.shop.owner) as connection:
            (found,) = connection.execute(COLUMNS.encode()).fetchone() or (None,)
        return str(found)


@pytest.fixture
def placed(tmp_path: Path, shop: Shop) -> Placed:
    """Build the release, and unpack its bundle."""
    shutil.copytree(CHECKOUT / "tests/apps" / APP, tmp_path / "apps" / APP)
    (tmp_path / "templates").symlink_to(CHECKOUT / "templates")
    release = load_release(tmp_path, APP, VERSION)
    key = make_key(tmp_path / "keys", "signing")
    made = bundle.build(tmp_path, load_app(tmp_path, APP), release, key)
    with tarfile.open(made.path) as archive:
        archive.extractall(tmp_path / "placed", filter="data")
    manifest = json.loads((tmp_path / "placed/manifest.json").read_text())
    return Placed(tmp_path / "placed/code", manifest["migrator"], shop)


def test_its_bundle_migrates_tells_and_undoes_without_a_download(placed: Placed) -> None:
    code, said = placed.run("command")
    assert code == 0, said
    assert placed.columns() == "id id name text topic"
    assert placed.run("status")[0] == 0
    code, said = placed.run("undo")
    assert (code, placed.columns()) == (0, "id text"), said
    left, said = placed.run("status")
    assert (left != 0, "002_topics" in said) == (True, True), said
    assert placed.run("command")[0] == 0
    assert placed.columns() == "id id name text topic"
