"""A share of the clients on a new version: who is in it, what ends it well, and what takes it back."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from tests.faults import releases

from .clients import BUCKETS, Clients
from .live import CHECKOUT, LIVE

if TYPE_CHECKING:
    from collections.abc import Callable

    from .live import User

pytestmark = pytest.mark.lab
SAME, SLOW = "7.0.6", "7.0.7"
# Only who asks as these clients do gets it slowly: neither health nor the preview is red.
SLOW_FOR_CLIENTS = """\
return request.headers['user-agent'] === 'client' ? setTimeout(go, 1000) : go();"""


@pytest.fixture
def operator(user: User) -> tuple[User, str]:
    """Return a user, and where the releases to deploy are."""
    folder = user.root / "extra"
    made = (releases.wrapped(SAME, "return go();"), releases.wrapped(SLOW, SLOW_FOR_CLIENTS))
    releases.write(CHECKOUT, folder, made)
    return user, str(folder)


def clients(user: User) -> Clients:
    return Clients(address=user.lab.hosts["host1"]["address"])


def terms(user: User, **said: object) -> None:
    user.edit("group_vars/all/lab.yml", lambda found: found.update(changeover_canary=said))


def deploy(
    user: User, extra: str, version: str, shares: str, begin: Callable[[], object]
) -> tuple[int, list[dict[str, Any]]]:
    """Deploy in shares, do something at the first look at one; return the exit code and the events."""
    words = ("deploy", version, "--yes", "--canary", shares)
    with user.start(*words, CHANGEOVER_RELEASES=extra) as process:
        events: list[dict[str, Any]] = []
        for line in process.stdout or ():
            event = json.loads(line)
            if event["type"] == "canary" and not any(each["type"] == "canary" for each in events):
                begin()
            events.append(event)
    return process.returncode, events


def test_a_share_without_traffic_is_no_pass(operator: tuple[User, str]) -> None:
    user, extra = operator
    terms(user, lasting="1s", deadline="5s", requests=20)

    run = user.run("deploy", SAME, "--yes", "--json", "--canary", "20", CHANGEOVER_RELEASES=extra)

    error = json.loads(run.stdout.splitlines()[-1])
    assert run.returncode == 3, run.stderr
    assert error["message"].startswith("canary-20: nobody can tell how 7.0.6-")
    assert "the new colour answered 0 requests of 20" in error["message"]
    assert set(clients(user).everyone().values()) == {LIVE}


def test_a_version_that_is_too_slow_for_its_share_is_taken_back_and_costs_no_request(
    operator: tuple[User, str],
) -> None:
    user, extra = operator
    terms(user, lasting="6s", requests=10)
    with clients(user).asking() as asking:
        code, events = deploy(user, extra, SLOW, "20,60", lambda: None)

    assert code == 3, events[-1]
    assert events[-1]["message"].startswith("canary-20: the slowest ")
    assert "rolled back: 7.0.0 serves again, proved" in events[-1]["message"]
    assert asking.failed == []
    moved = [versions for versions in asking.answered.values() if SLOW in versions]
    assert 0 < len(moved) <= 20
    assert all(versions in ([LIVE, SLOW], [LIVE, SLOW, LIVE]) for versions in moved)
    assert set(clients(user).everyone().values()) == {LIVE}
    running = user.lab.ssh("host1", "systemctl list-units --plain --no-legend 'nox-api-*'")
    assert SLOW not in running


def test_clients_are_in_a_share_by_their_cookie_and_all_of_them_end_on_the_new_version(
    operator: tuple[User, str],
) -> None:
    user, extra = operator
    # A share waits for more answers than each client's first: nobody else asks until then.
    terms(user, lasting="1s", requests=BUCKETS, slower_ms=10_000)
    asking, first = clients(user), dict[int, str]()
    with contextlib.ExitStack() as stack:

        def begin() -> None:
            first.update(clients(user).everyone())
            stack.enter_context(asking.asking())

        code, events = deploy(user, extra, SAME, "20,60", begin)

    assert code == 0, events[-1]
    assert Counter(first.values()) == {SAME: 20, LIVE: 80}
    done = [event["step"] for event in events if event["type"] == "step-done"]
    assert done.index("preview") < done.index("canary-20") < done.index("canary-60")
    assert done.index("canary-60") < done.index("switch")
    assert asking.failed == []
    for number, versions in asking.answered.items():
        assert versions in ([SAME], [LIVE], [LIVE, SAME]), "somebody went back"
        assert first[number] == LIVE or versions == [SAME]
    assert set(clients(user).everyone().values()) == {SAME}
    assert user.lab.ssh("host1", "ls -d /run/nox-api/canary", status=None) == ""
