"""The page of maintenance on a real host: by hand, and of a release that takes its predecessor's place."""

from __future__ import annotations

import contextlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from .clients import Connection, ask
from .live import APP, CHECKOUT, LIVE

if TYPE_CHECKING:
    from .clients import Answer
    from .live import User

pytestmark = pytest.mark.lab
VERSION = "9.0.0"
# What every run under a lease writes down.
NOTED = r"/var/lib/changeover/nox-api/(agent[.]lock|fence[.]json|journal[.]jsonl)$"
# Red from outside alone, so that it is the last step before the confirmation.
RED = {"id": "never", "request": "GET /health", "expect": {"status": 418}, "preview": False}


def answered(user: User, **headers: str) -> Answer:
    with contextlib.closing(Connection(user.lab.hosts["host1"]["address"])) as connection:
        return ask(connection, **headers)


def in_its_place(user: User) -> str:
    """Write a release that takes the live one's place, breaks its schema, and is red once it is live."""
    directory = user.root / "extra" / APP / VERSION
    shutil.copytree(CHECKOUT / "apps" / APP / "releases/8.0.0", directory)
    document = yaml.safe_load((directory / "release.yml").read_text())
    document |= {"version": VERSION, "follows": [LIVE], "direct": [], "strategy": "maintenance"}
    document |= {"smoke": [RED], "manual": []}
    (directory / "release.yml").write_text(yaml.safe_dump(document, sort_keys=False))
    gone = "ALTER TABLE authentication_logs DROP COLUMN user_agent;\n"
    (directory / "migrations/expand/007_user_agent_gone.sql").write_text(gone)
    return str(user.root / "extra")


def test_users_get_the_page_until_it_is_off_and_who_is_let_through_gets_the_app(
    user: User,
) -> None:
    here = user.lab.hosts["host1"]["address"].rpartition(".")[0] + ".1"
    assert answered(user).status == 200

    assert user.run("maintenance", "on", "--retry-after", "77").returncode == 0

    told, page = answered(user), answered(user, Accept="text/html")
    assert (told.status, told.headers["Retry-After"]) == (503, "77")
    assert json.loads(told.text)["retry_after"] == 77
    assert (page.status, page.headers["Retry-After"]) == (503, "77")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "2 minutes" in page.text
    # Whoever is named gets the app, and nobody by a guess.
    run = user.run("maintenance", "on", "--tester", "--allow", here, "--json")
    assert run.returncode == 0, run.stderr
    assert answered(user).version == LIVE
    run = user.run("maintenance", "on", "--tester", "--json")
    token = next(each["tester"] for each in events(run.stdout) if "tester" in each)
    assert answered(user, **{"X-Changeover-Tester": token}).version == LIVE
    assert answered(user, **{"X-Changeover-Tester": "0" * 32}).status == 503

    assert user.run("maintenance", "off").returncode == 0

    assert answered(user).version == LIVE
    user.assert_unchanged(besides=NOTED)


def events(stream: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.splitlines()]


def signed_in(user: User) -> list[str]:
    query = "SELECT request_id FROM authentication_logs WHERE user_agent = 'somebody'"
    asked = f'cd / && runuser -u postgres -- psql -XAtq -d nox_api -c "{query}"'
    return user.lab.ssh("host1", asked).splitlines()


def sign_in(user: User, identity: str) -> None:
    with contextlib.closing(Connection(user.lab.hosts["host1"]["address"])) as connection:
        body = json.dumps({"provider": "google", "login_hint": "somebody@lab.test"})
        headers = {"Content-Type": "application/json", "User-Agent": "somebody"}
        connection.request("POST", "/api/auth/login", body, {**headers, "X-Request-Id": identity})
        answer = connection.getresponse()
        assert (answer.status, answer.read()[:9]) == (200, b'{"token":')


def test_what_is_red_behind_the_page_ends_with_the_old_version_and_every_row_from_before_it(
    user: User,
) -> None:
    words = ("deploy", VERSION, "--yes")
    done: list[str] = []
    with user.start(*words, CHANGEOVER_RELEASES=in_its_place(user)) as process:
        for line in process.stdout or ():
            last = json.loads(line)
            if last["type"] == "step-done":
                done.append(last["step"])
                if last["step"] == "backup":
                    sign_in(user, "after-the-first-backup")

    assert process.returncode == 3, last
    assert done.index("maintenance-on") < done.index("stop") < done.index("backup-again")
    assert done.index("backup-again") < done.index("expand") < done.index("switch")
    back = done[done.index("switch") + 1 :]
    assert back == ["restore", "start-old", "revert", "smoke", "maintenance-off"]
    assert signed_in(user) == ["after-the-first-backup"]
    told = events(user.run("status", "--json").stdout)
    (state,) = (each for each in told if each["type"] == "host")
    assert state["live"].startswith(f"{LIVE}-")
    assert [each.partition("-")[0] for each in state["running"]] == [LIVE]
    assert state["maintenance"] == {"on": False, "served": True}
    assert answered(user).version == LIVE
