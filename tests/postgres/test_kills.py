"""T16: SIGKILL at random moments; the whole count is `bench/kills.py`."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from tests.postgres.kills import round_of
from tests.postgres.works import KINDS

if TYPE_CHECKING:
    from tests.postgres.own_server import Server

pytestmark = pytest.mark.postgres

# Shorter than they take, so that most moments fall into the work.
AT_WORK_SECONDS = dict.fromkeys(KINDS, 0.5) | {"swap": 0.05}


# What commits in parts is to be met between two of them at least once.
IN_PARTS = {"concurrent index", "backfill"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_killed_converges_by_a_plain_rerun(postgres_server: Server, kind: str) -> None:
    chance = random.Random(kind)  # noqa: S311 - the same moments in every run
    kills = half_done = 0
    while not kills or (kind in IN_PARTS and not half_done):
        found = round_of(kind, postgres_server, AT_WORK_SECONDS[kind], chance)
        kills += len(found.freed)
        half_done += found.half_done
