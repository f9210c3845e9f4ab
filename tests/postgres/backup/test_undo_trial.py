"""Undoing by hand is tried on a clone of what is there now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.postgres.backup.rehearsing import Rehearsing, rehearsing

from changeover.executors import migrate
from changeover.runner.rehearse.clone import UndoLosesRows

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.backup.conftest import Site

__all__ = ["rehearsing"]
pytestmark = pytest.mark.postgres
NUMBERS, NICK = "1.0.0/contract/001_numbers", "1.0.0/contract/002_nick"
FILES = {
    "contract/001_numbers.sql": "SELECT setval('people_id_seq', 1000)",
    "contract/001_numbers.revert.sql": "SELECT 1",
    "contract/002_nick.sql": "ALTER TABLE people DROP COLUMN age",
    "contract/002_nick.revert.sql": "ALTER TABLE people ADD COLUMN age int",
}


def test_numbers_that_would_be_given_again_are_lost_and_what_undoing_took_is_kept(
    site: Site, rehearsing: Callable[[dict[str, str]], Rehearsing]
) -> None:
    deployment = rehearsing(FILES)
    migrate.apply(site.shop.owner, deployment.folder)
    deployment.backed_up_again()

    said = deployment.undo(NUMBERS, NICK)

    assert said.startswith("on a clone undone and applied again: ")
    known = migrate.recall(site.shop.owner).bounds(deployment.folder.migrations)
    assert set(known) == {(NUMBERS, "revert", 1), (NICK, "revert", 1)}

    site.shop.rows("SELECT setval('people_id_seq', 1500)")
    deployment.backed_up_again()
    with pytest.raises(UndoLosesRows) as caught:
        deployment.undo(NUMBERS, NICK)

    assert caught.value.message.endswith(
        "would lose what is there now: how far public.people_id_seq is"
    )
    assert caught.value.exit_code == 6
