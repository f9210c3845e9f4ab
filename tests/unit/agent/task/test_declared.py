"""What a host lets a task be given, by its bundle alone."""

from __future__ import annotations

from typing import Any

import pytest

from changeover.agent.failure import ActionError
from changeover.agent.task import declared

RULE = {"minimum": None, "maximum": None, "matches": None}
ENTRY: dict[str, Any] = {
    "command": ["bin/move", "{step}", "--to={to}", "--all={all}", "--note={note}"],
    "dry_run": None,
    "undo": None,
    "parameters": {
        "step": {**RULE, "type": "string", "required": True, "matches": "[a-z-]+"},
        "to": {**RULE, "type": "integer", "required": True, "minimum": 2, "maximum": 9},
        "all": {**RULE, "type": "boolean", "required": False},
        "note": {**RULE, "type": "string", "required": False},
    },
    "deadline_seconds": 60,
}
VALUES: dict[str, object] = {"step": "payments", "to": "2"}


def test_values_become_whole_arguments() -> None:
    task = declared.read({"move": ENTRY})["move"]

    assert task.arguments("command", {**VALUES, "note": "{to} $(id)"}) == [
        *("bin/move", "payments", "--to=2", "--note={to} $(id)"),
    ]


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"to": "2"}, "step"),
        ({**VALUES, "step": "Payments"}, "step"),
        ({**VALUES, "step": "--all"}, "step"),
        ({**VALUES, "step": "payments2"}, "step"),
        ({**VALUES, "to": 2}, "to"),
        ({**VALUES, "to": "1"}, "to"),
        ({**VALUES, "to": "10"}, "to"),
        ({**VALUES, "to": "²"}, "to"),
        ({**VALUES, "all": "yes"}, "all"),
        ({**VALUES, "note": "a\nb"}, "note"),
        ({**VALUES, "note": "a" * 4001}, "note"),
        ({**VALUES, "more": "a"}, "more"),
        ({"step": "A", "to": "1"}, "step, to"),
    ],
)
def test_what_is_not_what_the_bundle_lets_it_be_is_named(
    values: dict[str, object], wrong: str
) -> None:
    with pytest.raises(ActionError) as caught:
        declared.read({"move": ENTRY})["move"].arguments("command", values)

    assert caught.value.error == "bad-value"
    assert caught.value.message == f"not what the bundle lets it be: {wrong}"


@pytest.mark.parametrize(
    "entry",
    [{**ENTRY, "command": []}, {**ENTRY, "command": ["bin/move", "a\nb"]}],
)
def test_a_bundle_whose_task_cannot_be_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ActionError) as caught:
        declared.read({"move": entry})

    assert caught.value.error == "bundle-invalid"


def test_a_task_with_a_name_that_leads_elsewhere_is_refused() -> None:
    with pytest.raises(ActionError):
        declared.read({"../move": ENTRY})
