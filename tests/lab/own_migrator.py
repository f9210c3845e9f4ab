"""Releases of the live lab's app that bring a migrator of their own: real ones, run by node-pg-migrate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.lab.vault import KEPT

from . import live

if TYPE_CHECKING:
    from .conftest import Lab
    from .live import User

RELEASES = Path(__file__).resolve().parents[1] / "apps/migrates_itself"
VERSION = "7.1.0"
# What `provision` writes for an app that migrates itself; a test of the role's template holds that.
OPEN = """
set -e
echo 'host all nox_api_owner {address}/32 scram-sha-256' >> /etc/postgresql/15/main/pg_hba.conf
systemctl reload postgresql@15-main
"""
SQL = "cd / && runuser -u postgres -- psql -XAtq -d nox_api -c "
TELLS = "console.log(`as ${process.env.DATABASE_URL} and ${process.env.PGPASSWORD}`);\n"
GATE = """
exports.up = (pgm) => pgm.sql(`DO $$ BEGIN
  WHILE current_database() = 'nox_api' AND NOT EXISTS (SELECT FROM pg_class WHERE relname = 'opened')
  LOOP PERFORM pg_sleep(0.05); END LOOP;
END $$`);
exports.down = () => {};
"""
ONLY_THERE = """
exports.up = (pgm) => {
  pgm.noTransaction();
  pgm.sql(`DO $$ BEGIN
    IF current_database() = 'nox_api' THEN RAISE EXCEPTION 'refused where it is live'; END IF;
  END $$`);
};
exports.down = () => {};
"""


def user_of(lab: Lab, before: list[str], work: Path) -> User:
    """Return a user of the live lab whose app may migrate itself."""
    lab.ssh("host1", OPEN.format(address=lab.hosts["host1"]["address"]))
    user = live.user_of(lab, work, before)
    declared = user.own("apps") / "nox-api/app.yml"
    declared.write_text(declared.read_text().replace("  role:", "  migrates_itself: true\n  role:"))
    return user


def variant(place: Path, step: str) -> Path:
    """Return a folder of releases whose migrator has a second step, and undoes both."""
    shutil.copytree(RELEASES, place)
    release = place / "nox-api" / VERSION
    (release / "migrator/steps/002_more.cjs").write_text(TELLS + step)
    file = release / "release.yml"
    file.write_text(file.read_text().replace('"migrate:undo"]', '"migrate:undo", --, "2"]'))
    return place


def sql(lab: Lab, statement: str) -> str:
    """Run a statement on the live database as its superuser; return what it gave."""
    return lab.ssh("host1", f'{SQL}"{statement}"')


def owner_password(lab: Lab) -> str:
    """Return the password that only the runner, and a migrator while it runs, may know."""
    secrets = json.loads((lab.identity.state / KEPT).read_text())
    password: str = secrets["changeover_database_passwords"]["nox-api"]["owner"]
    return password
