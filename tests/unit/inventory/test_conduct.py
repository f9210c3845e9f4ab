"""How deployments are gone about: what an environment says of it, and what it cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover.inventory import VariableInvalid
from changeover.policy.absence import policy

if TYPE_CHECKING:
    from tests.unit.conftest import Project


def say(project: Project, line: str) -> None:
    project.variables.write_text(f"{project.variables.read_text()}{line}\n")


def test_what_is_not_said_is_asked_of_nobody(project: Project) -> None:
    conduct = project.environment.conduct

    assert (conduct.bake_window_seconds, conduct.place_at_once) == (None, None)
    assert conduct.unreachable == policy("fail")


def test_what_is_said_is_read(project: Project) -> None:
    say(project, "changeover_bake_window: 2h")
    say(project, "changeover_unreachable: quorum=60%")
    say(project, "changeover_place_at_once: 3")

    conduct = project.environment.conduct

    assert (conduct.bake_window_seconds, conduct.place_at_once) == (7200, 3)
    assert conduct.unreachable == policy("quorum=60%")


@pytest.mark.parametrize(
    ("line", "question"),
    [
        ("changeover_bake_window: soon", "bake_window_seconds"),
        ("changeover_unreachable: quorum", "unreachable"),
        ("changeover_unreachable: quorum=0%", "unreachable"),
        ("changeover_unreachable: quorum=101%", "unreachable"),
        ("changeover_unreachable: shrug", "unreachable"),
        ("changeover_place_at_once: 0", "place_at_once"),
        ("changeover_place_at_once: true", "place_at_once"),
        ("changeover_place_at_once: two", "place_at_once"),
    ],
)
def test_what_cannot_be_said_names_the_variable_and_its_file(
    project: Project, line: str, question: str
) -> None:
    say(project, line)

    with pytest.raises(VariableInvalid) as caught:
        getattr(project.environment.conduct, question)

    assert line.partition(":")[0] in caught.value.message
    assert "inventories/demo/group_vars/all/main.yml" in caught.value.hint
