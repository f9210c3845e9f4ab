"""What a deployment says of the way back at its end: a rehearsal within it may have proved more than the plan knew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.deploying import plan

from changeover.runner.deployment import forward
from changeover.verdict import OwnFact, Verdict

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk

PLANNED = Verdict(kind="restore", because="nothing was tried yet")
PROVED = Verdict(kind="instant", because="the old version was seen to write")
STOOD = (OwnFact(id="2.0.0/migrator", undo=False, proved=None),)


@pytest.mark.parametrize(("stood", "said"), [((), PROVED), (STOOD, PLANNED)])
def test_what_the_rehearsal_proved_counts_unless_an_own_migrator_ran_before(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, stood: tuple[OwnFact, ...], said: Verdict
) -> None:
    run = desk.run()
    made = plan()
    made = replace(made, situation=replace(made.situation, verdict=PLANNED))
    monkeypatch.setattr("changeover.runner.undo.judgement.judge", lambda *_: PROVED)
    monkeypatch.setattr("changeover.runner.own.back.stood", lambda *_: stood)

    assert forward._verdict(run, made) == said  # noqa: SLF001 - the words of its end are made of it
