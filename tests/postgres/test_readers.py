"""T10: readers behind a migration that queues; how long they wait is `bench/lock_wait.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench import lock_wait

if TYPE_CHECKING:
    from tests.postgres.own_server import Server

pytestmark = pytest.mark.postgres


def test_readers_of_other_processes_are_answered_while_a_migration_lets_others_by(
    postgres_server: Server,
) -> None:
    readings, retries = lock_wait.ours(postgres_server, seconds=1, lock_timeout=100)

    assert retries > 0
    assert readings.count > retries
    assert readings.longest > 0
