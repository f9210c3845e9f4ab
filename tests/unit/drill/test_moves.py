"""When users were moved is read from what controllers told, also from those that were cut off."""

from __future__ import annotations

from typing import Any

from changeover.drill.moves import moves_of
from changeover.load.judgement import Move

OLD, NEW = "7.0.0-aaaaaaaa", "8.0.0-bbbbbbbb"
ENDED = 99.0


def at(second: int, kind: str, /, **facts: object) -> dict[str, Any]:
    return {"type": kind, "at": f"1970-01-01T00:00:{second:02}.000+00:00", **facts}


def begin(second: int, command: str, before: str | None, after: str) -> dict[str, Any]:
    return at(second, "deployment-begin", command=command, before=before, after=after)


def intent(second: int, kind: str) -> dict[str, Any]:
    return at(second, "step-intent", step=kind, kind=kind)


def done(second: int, step: str) -> dict[str, Any]:
    return at(second, "step-done", step=step)


def test_a_deployment_and_its_rollback_move_users_there_and_back() -> None:
    events = [
        begin(1, "deploy", OLD, NEW),
        intent(2, "start"),
        done(3, "start"),
        intent(4, "switch"),
        done(5, "switch"),
        begin(7, "rollback", NEW, OLD),
        intent(8, "revert"),
        done(9, "revert"),
    ]

    assert moves_of(events, before=OLD, ended=ENDED) == [
        Move(begun=4, done=5, after=NEW),
        Move(begun=8, done=9, after=OLD),
    ]


def test_a_deployment_that_is_red_sends_users_back_to_where_it_began() -> None:
    events = [
        begin(1, "deploy", OLD, NEW),
        intent(4, "switch"),
        done(5, "switch"),
        intent(8, "revert"),
        done(9, "revert"),
    ]

    assert moves_of(events, before=OLD, ended=ENDED)[1] == Move(begun=8, done=9, after=OLD)


def test_a_resumed_deployment_that_had_moved_users_sends_them_back_to_before_it_all() -> None:
    events = [begin(1, "deploy", NEW, NEW), intent(8, "revert"), done(9, "revert")]

    assert moves_of(events, before=OLD, ended=ENDED) == [Move(begun=8, done=9, after=OLD)]


def test_a_move_that_was_cut_off_may_come_until_the_next_one_is_done() -> None:
    events = [
        begin(1, "deploy", OLD, NEW),
        intent(4, "switch"),
        begin(6, "abort", "deploy 8.0.0", OLD),
        intent(8, "revert"),
        done(9, "revert"),
    ]

    assert moves_of(events, before=OLD, ended=ENDED) == [
        Move(begun=4, done=9, after=NEW),
        Move(begun=8, done=9, after=OLD),
    ]


def test_a_move_that_nothing_followed_may_come_until_the_end() -> None:
    events = [begin(1, "deploy", OLD, NEW), intent(4, "switch")]

    assert moves_of(events, before=OLD, ended=ENDED) == [Move(begun=4, done=ENDED, after=NEW)]
