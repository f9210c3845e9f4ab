from __future__ import annotations

import pytest

from changeover.cli.next_command import naming


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "changeover resume --env /lab/inventory goes on, changeover abort --env /lab/inventory ends it",
            (
                "changeover resume --env /lab/inventory --app shop goes on, "
                "changeover abort --env /lab/inventory --app shop ends it"
            ),
        ),
        ("changeover smoke --app cafe --env /lab/inventory", None),
        ("changeover smoke --env /lab/inventory --app cafe, then look", None),
        ("changeover status --env /lab/inventory2", None),
        ("changeover status --env production", None),
        ("changeover provision --env /lab/inventory --limit host1", None),
        ("nothing to type", None),
    ],
)
def test_a_command_that_names_no_app_is_made_whole(said: str, shown: str | None) -> None:
    assert naming("/lab/inventory", "shop")(said) == (shown or said)
