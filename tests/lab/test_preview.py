"""A release whose site is wrong is red before users see it, with what they would have got."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from .live import condition
from .test_refusals import extra_release

if TYPE_CHECKING:
    from .live import User

pytestmark = pytest.mark.lab

VERSION = "8.0.5"
NGINX: dict[str, Any] = {
    "http": "serve",
    "socket": "http",
    "websocket": {"path": "/ws", "socket": "http"},
    "static": {"path": "/static/", "directory": "public/v8/js", "max_age": 60},
    "security_headers": False,
}
SMOKE: list[dict[str, Any]] = [
    {"id": "health", "request": "GET /health", "expect": {"json": {"status": "ok"}}},
    {"id": "redirect", "request": {"path": "/", "scheme": "http"}, "expect": {"status": 308}},
    {
        "id": "headers",
        "request": "GET /",
        "expect": {"headers": {"Strict-Transport-Security": {"matches": "max-age"}}},
    },
    {"id": "static", "request": "GET /static/page-1.css"},
    {"id": "talk", "websocket": {"path": "/ws"}},
]


def live(user: User) -> list[str]:
    return [json.loads(line)["live"] for line in condition(user.lab) if line.startswith("{")]


def test_a_wrong_site_is_red_with_all_that_is_wrong_and_users_stay(user: User) -> None:
    extra = extra_release(user, VERSION, nginx=NGINX, smoke=SMOKE, manual=[])
    before = live(user)
    done = user.run("deploy", VERSION, "--yes", "--json", CHANGEOVER_RELEASES=extra)

    error = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1, done.stderr
    assert error["message"].startswith("preview: 4 of 5 checks")
    assert error["message"].endswith("7.0.0 serves, nothing is half done")
    for wrong in (
        "redirect: status is 200, expected 308",
        "headers: header Strict-Transport-Security is absent",
        "static: status is 404, expected 200",
        "talk: the upgrade was answered with 404, expected 101",
        'static/static/page-1.css" failed (2: No such file or directory)',
    ):
        assert wrong in error["cause"]
    assert live(user) == before
    assert user.run("smoke").returncode == 0
