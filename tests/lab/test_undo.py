"""The way back after `finalize`: what was taken away is added again, where a rehearsal proved that nothing is lost."""

from __future__ import annotations

import json
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from .live import back_to_live

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from .conftest import Lab
    from .live import Event, User

pytestmark = pytest.mark.lab
MIGRATIONS = "apps/nox-api/releases/8.0.0/migrations"
FIRST, SECOND = "8.0.0/contract/001_users_old_token", "8.0.0/contract/002_users_nickname"
UNDO = f"{FIRST.removeprefix('8.0.0/')}.revert.sql"
FILES = {
    "expand/007_users_nickname.sql": "ALTER TABLE users ADD COLUMN nickname text",
    "expand/007_users_nickname.revert.sql": "ALTER TABLE users DROP COLUMN nickname",
    UNDO: "ALTER TABLE users ADD COLUMN old_token_field varchar(255) UNIQUE",
    "contract/002_users_nickname.sql": "ALTER TABLE users DROP COLUMN nickname",
    "contract/002_users_nickname.revert.sql": "ALTER TABLE users ADD COLUMN nickname text",
}
STATES = (
    "SELECT string_agg(state, ',' ORDER BY id) FROM changeover.migration WHERE phase = 'contract'"
)
COLUMNS = """SELECT count(*) FROM information_schema.columns
    WHERE table_name = 'users' AND column_name IN ('old_token_field', 'nickname')"""
# What a release with a column of another name brings: the version before cannot read it.
NEXT = "7.0.1"
RENAMED, CHECKED = f"{NEXT}/expand/001_users_picture", f"{NEXT}/expand/002_users_email"
BREAKING = {
    "expand/001_users_picture.sql": "ALTER TABLE users RENAME COLUMN avatar_url TO picture_url",
    "expand/001_users_picture.revert.sql": "ALTER TABLE users RENAME COLUMN picture_url TO avatar_url",
    "expand/002_users_email.sql": "ALTER TABLE users ADD CONSTRAINT written CHECK (email LIKE '%@%') NOT VALID",
    "expand/002_users_email.revert.sql": "ALTER TABLE users DROP CONSTRAINT written",
}
BROKEN = """SELECT string_agg(column_name, ',' ORDER BY 1) FROM information_schema.columns
    WHERE table_name = 'users' AND column_name IN ('avatar_url', 'picture_url')"""
UNBROKEN = (
    "SELECT string_agg(state, ',' ORDER BY id) FROM changeover.migration WHERE release = '7.0.1'"
)
SINCE = "SELECT count(*) FROM users WHERE email = 'since@seed.test'"
WRITE = "INSERT INTO users (id, email) VALUES (gen_random_uuid(), 'since@seed.test')"


@pytest.fixture(scope="module", autouse=True)
def left_as_found(live_single: Lab) -> Iterator[None]:
    """Give the host back with nothing placed but what is live, and nothing in its ledger."""
    yield
    back_to_live(live_single)


def sql(lab: Lab, statement: str) -> str:
    asked = f'cd / && runuser -u postgres -- psql -XAt nox_api -c "{statement}"'
    return lab.ssh("host1", asked)


def own_migrations(user: User, files: dict[str, str]) -> None:
    folder = user.own("apps").parent / MIGRATIONS
    for name, text in files.items():
        (folder / name).write_text(text)


def own_release(user: User) -> None:
    """Write a release after 7.0.0 that gives a column another name, in its code and in the schema."""
    app = user.own("apps") / "nox-api"
    release = shutil.copytree(app / "releases/7.0.0", app / "releases" / NEXT)
    shutil.rmtree(release / "migrations")
    declared = (release / "release.yml").read_text().replace("7.0.0", NEXT)
    (release / "release.yml").write_text(declared.replace("[6.0.0]", "[7.0.0]"))
    for name, text in BREAKING.items():
        (release / "migrations" / name).parent.mkdir(parents=True, exist_ok=True)
        (release / "migrations" / name).write_text(text)
    users = app / "src/common/users.js"
    users.write_text(users.read_text().replace("avatar_url", "picture_url"))


def done(user: User, *words: str, status: int = 0) -> str:
    ended: subprocess.CompletedProcess[str] = user.run(*words)
    assert ended.returncode == status, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def host_state(lab: Lab) -> Event:
    lines = lab.changeover("status", "--env", str(lab.inventory), "--json").stdout.splitlines()
    found: Event = next(each for each in map(json.loads, lines) if each["type"] == "host")
    return found


def way_back(user: User) -> Event:
    """Return what `status` tells of the way back of this checkout's own releases."""
    told = user.run("status", "--json").stdout.splitlines()
    found: Event = next(each for each in map(json.loads, told) if each["type"] == "way-back")
    return found


def kill_after(user: User, event: str, *words: str) -> None:
    """Start a command and kill it as soon as it has told an event."""
    with user.start(*words) as process:
        for line in process.stdout or ():
            if json.loads(line)["type"] == event:
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait(timeout=60) == -signal.SIGKILL


def test_a_way_back_that_loses_rows_is_told_before_anything_moves(user: User) -> None:
    own_migrations(user, FILES)
    sql(user.lab, "UPDATE users SET old_token_field = left(email, 200)")
    phases = [word for phase in ("expand", "backfill", "contract") for word in ("--phase", phase)]

    done(user, "db", "rehearse", "8.0.0", *phases)

    told = done(user, "plan", "8.0.0")
    assert f"after finalize: restore: {FIRST} (it leaves other rows in public.users)" in told
    assert "leaves behind what is written after the backup that finalize makes\n  in the " in told
    sql(user.lab, "UPDATE users SET old_token_field = NULL")


def finalized_through_an_outage(user: User) -> None:
    """Kill a finalize between two contract migrations, and PostgreSQL with it; end it afterwards."""
    kill_after(user, "migration-applied", "finalize", "--yes")
    user.lab.ssh("host1", "systemctl stop postgresql@15-main")
    done(user, "lock", "steal", "--reason", "it is gone")
    told = done(user, "rollback", status=6)
    assert "finalize has begun to take away what 7.0.0 needs of the database" in told
    told = done(user, "status")
    assert "way back to 7.0.0: unknown: finalize has begun to take away what 7.0.0 needs" in told
    done(user, "finalize", "--yes", status=6)

    user.lab.ssh("host1", "systemctl start postgresql@15-main")
    assert (sql(user.lab, STATES), sql(user.lab, COLUMNS)) == ("applied", "1")
    done(user, "finalize", "--yes")
    assert sql(user.lab, STATES) == "applied,applied"


def test_a_finalize_goes_on_after_an_outage_and_undoing_by_hand_is_tried_on_a_clone(
    user: User,
) -> None:
    lab = user.lab
    own_migrations(user, FILES)
    done(user, "deploy", "8.0.0", "--yes")
    finalized_through_an_outage(user)
    sql(lab, WRITE.replace("since@", "by-hand@"))

    said = done(user, "db", "revert", "8.0.0")

    assert "on a clone undone and applied again: " in said
    assert (sql(lab, STATES), sql(lab, COLUMNS)) == ("reverted,reverted", "2")
    assert sql(lab, SINCE.replace("since@", "by-hand@")) == "1"
    assert str(host_state(lab)["live"]).startswith("8.0.0-")
    sql(lab, "DELETE FROM users WHERE email = 'by-hand@seed.test'")


def test_a_killed_way_back_is_ended_by_the_same_command_and_loses_no_row(user: User) -> None:
    lab = user.lab
    own_migrations(user, FILES)
    done(user, "deploy", "8.0.0", "--yes")
    said = done(user, "finalize", "--yes")
    assert f"the way back: revert: {FIRST}, {SECOND} are undone before users are sent back" in said
    before = host_state(lab)
    assert before["placed"] == [before["live"]]
    sql(lab, WRITE)

    own_migrations(user, {UNDO: "ALTER TABLE users ADD COLUMN old_token_field varchar(255)"})
    said = done(user, "rollback", status=2)
    assert f"{FIRST} was never undone in a rehearsal: the way back is the backup" in said
    assert "inserted or changed that 2" in said  # the app notes what it measures all the while
    assert "public.users: 3 rows then, 4 rows now; 1 left behind" in said
    assert "changeover backup restore 2" in said
    assert host_state(lab) == before
    event = way_back(user)
    (users,) = (one for one in event["price"]["tables"] if one["table"] == "public.users")
    assert (event["kind"], users["inserted"], users["updated"]) == ("restore", 1, 0)
    assert event["command"].startswith(f"changeover backup restore {event['price']['backup']} ")

    own_migrations(user, FILES)
    kill_after(user, "migration-reverted", "rollback")
    assert (host_state(lab)["live"], sql(lab, STATES)) == (before["live"], "applied,reverted")

    assert "7.0.0 serves again, proved" in done(user, "rollback")

    assert str(host_state(lab)["confirmed"]).startswith("7.0.0-")
    assert (sql(lab, STATES), sql(lab, COLUMNS)) == ("reverted,reverted", "2")
    assert sql(lab, SINCE) == "1"


def test_an_expand_that_breaks_the_old_version_is_undone_or_applied_again_with_users_on_it(
    user: User,
) -> None:
    lab = user.lab
    own_release(user)
    said = done(user, "deploy", NEXT, "--yes")
    assert f"the way back: revert: {RENAMED}, {CHECKED} are undone" in said
    sql(lab, WRITE.replace("since@", "breaking@"))

    # Something in the way of the second one that is undone: the first is applied again.
    sql(lab, "ALTER TABLE users ADD COLUMN avatar_url text")
    said = done(user, "rollback", status=1)
    assert (
        f"users stay on {NEXT}; of {RENAMED}, {CHECKED} what was undone was applied again" in said
    )
    assert (sql(lab, UNBROKEN), host_state(lab)["lock"]) == ("applied,applied", None)
    assert str(host_state(lab)["live"]).startswith(f"{NEXT}-")
    sql(lab, "ALTER TABLE users DROP COLUMN avatar_url")

    assert "7.0.0 serves again, proved" in done(user, "rollback")
    assert (sql(lab, UNBROKEN), sql(lab, BROKEN)) == ("reverted,reverted", "avatar_url")
    assert sql(lab, SINCE.replace("since@", "breaking@")) == "1"

    assert f"{NEXT} serves" in done(user, "deploy", NEXT, "--yes")
    assert (sql(lab, UNBROKEN), sql(lab, BROKEN)) == ("applied,applied", "picture_url")
