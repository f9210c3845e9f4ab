"""T9: runners that start together; fifty rounds are `bench/runners.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench import runners

if TYPE_CHECKING:
    from tests.postgres.own_server import Server

pytestmark = pytest.mark.postgres

ROUNDS = 2


def test_four_runners_at_once_deadlock_never_and_do_each_thing_once(
    postgres_server: Server,
) -> None:
    for _ in range(ROUNDS):
        assert runners.faults(postgres_server, 4) == []
