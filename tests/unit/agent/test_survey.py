from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from changeover.agent.smoke import likeness

if TYPE_CHECKING:
    from tests.unit.agent.conftest import Machine


def test_drift_names_what_differs_and_nothing_else(machine: Machine) -> None:
    kept, edited = machine.root / "etc/kept", machine.root / "etc/edited"
    kept.write_text("a")
    edited.write_text("b")
    digest = hashlib.sha256(b"a").hexdigest()
    record = {
        "files": {"/etc/kept": digest, "/etc/edited": digest, "/etc/missing": digest},
        "services": ["nginx"],
        "packages": {"no-such-package": "1"},
    }
    (machine.root / "etc/changeover/platform.json").write_text(json.dumps(record))

    answer = machine.do("drift")

    assert answer["drifted"]
    found = [(one["kind"], one["name"], one["found"]) for one in answer["differences"]]
    assert found == [
        ("file", "/etc/edited", hashlib.sha256(b"b").hexdigest()),
        ("file", "/etc/missing", None),
        ("service", "nginx", None),
        ("package", "no-such-package", None),
    ]


def test_state_needs_no_lease(machine: Machine) -> None:
    machine.do("unlock")

    state = machine.do("state")

    assert state["live"] is None
    assert state["releases"] == []
    assert state["lock"] is None


def test_collect_gives_back_what_was_placed(machine: Machine) -> None:
    colour = machine.place("1.0.0", site_text="server {}\n")

    answer = machine.do("collect", colour=colour)

    assert answer["env"] == 'A="b"\n'
    assert answer["site"] == "server {}\n"
    assert "User=sample" in answer["units"]["web"]


@pytest.mark.parametrize(
    ("action", "parameters", "error"),
    [
        ("no-such-action", {}, "unknown-action"),
        ("state", {"colour": "x"}, "bad-parameter"),
        ("switch", {"colour": "1.0.0-00000000", "deadman_seconds": -1}, "bad-parameter"),
        ("switch", {"colour": "1.0.0-00000000", "deadman_seconds": "9"}, "bad-parameter"),
        ("switch", {"colour": "1.0.0-00000000"}, "not-placed"),
        ("start", {"colour": "1.0.0-00000000"}, "not-placed"),
        ("place", {"digest": "abc", "env": {}}, "bad-name"),
        ("place", {"digest": "0" * 64}, "bad-parameter"),
        ("backup_list", {}, "no-database"),
    ],
)
def test_a_wrong_request_changes_nothing(
    machine: Machine, action: str, parameters: dict[str, Any], error: str
) -> None:
    assert machine.refuse(action, **parameters)["error"] == error
    assert machine.do("state")["pending"] is None


def test_an_app_that_provision_did_not_declare_is_refused(machine: Machine) -> None:
    (machine.root / "etc/changeover/host.json").write_text('{"apps": {}}')

    assert machine.refuse("state")["error"] == "unknown-app"


def test_without_a_site_checks_are_asked_on_the_colours_socket(machine: Machine) -> None:
    colour = machine.up("1.0.0")

    answered = machine.do("smoke", colour=colour, checks=[{"id": "a", "path": "/health"}])

    (answer,) = answered["answers"]
    assert (answer["id"], answer["status"], answer["body"]) == ("a", 200, "{}")


@pytest.mark.parametrize(
    ("expected", "found", "where"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, None),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 2]}}, None),
        ({"a": 1}, {"a": 2}, "/a is not 1"),
        ({"a": 1}, {}, "/a is missing"),
        ({"a": True}, {"a": 1}, "/a is not true"),
        ({"a": [1]}, {"a": [1, 2]}, "/a is no list of 1"),
        ({"a": {}}, [], "/ is no object"),
    ],
)
def test_a_json_answer_may_say_more_and_not_less(
    expected: object, found: object, where: str | None
) -> None:
    assert likeness.difference(expected, found) == where
