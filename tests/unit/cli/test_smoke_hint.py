"""What is typed next where smoke is red: going back helps nobody while users get the page of maintenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover.cli import smoke
from changeover.executors import smoke as smoking
from changeover.runner.fleet import survey
from changeover.runner.fleet.host_state import HostState

if TYPE_CHECKING:
    from tests.unit.conftest import Project


@pytest.mark.parametrize(
    ("page", "hint"),
    [
        (None, "changeover rollback --env demo"),
        ({"on": False}, "changeover rollback --env demo"),
        (
            {"on": True},
            "changeover maintenance status --env demo: the checks get the page, as users do",
        ),
    ],
)
def test_the_next_command_is_the_one_that_helps(
    page: dict[str, bool] | None,
    hint: str,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    colour = "1.0.0-aaaaaaaa"
    one = HostState(
        host="one",
        groups=("app",),
        live=colour,
        previous=None,
        confirmed=colour,
        running=(colour,),
        placed=(colour,),
        pending=None,
        lock=None,
        maintenance=page,
    )
    red = smoking.CheckResult(id="health", ok=False, message="status is 503", seconds=0.1)
    seen = survey.Seen(states={"one": one}, lost={})
    monkeypatch.setattr(survey, "status", lambda *_: ({"one": one}, seen))
    monkeypatch.setattr(
        smoking, "apply", lambda *_: smoking.SmokeOutcome(results=(red,), seconds=0.1)
    )
    monkeypatch.setenv("CHANGEOVER_ROOT", str(project.root))

    with pytest.raises(smoking.SmokeRed) as caught:
        smoke.smoke(env="demo")

    assert caught.value.hint == hint
