"""The checker finds what was lost, doubled, cut, or answered by the wrong version, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from changeover.load.history import History, Request, Socket, read
from changeover.load.judgement import Move, Window, judge

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = "7.0.0-aaaaaaaa", "8.0.0-bbbbbbbb"
SWITCH = Move(begun=10.0, done=11.0, after=NEW)


def request(name: str, start: float, **facts: object) -> Request:
    given = {"end": start + 0.1, "status": 200, "release": OLD, **facts}
    return Request(id=name, start=start, **given)  # type: ignore[arg-type]


def history(*requests: Request, sockets: tuple[Socket, ...] = ()) -> History:
    return History(requests, sockets)


def test_a_switch_under_load_is_clean() -> None:
    found = judge(
        history(
            request("a", 1),
            request("b", 10.2),
            request("c", 10.3, release=NEW),
            # sent before the switch was over, answered long after it
            request("d", 10.9, end=19),
            request("e", 12, release=NEW),
        ),
        before=OLD,
        moves=[SWITCH],
        rows=["a", "b", "c", "d", "e", "of another load"],
    )

    assert found.findings == []
    assert (found.requests, found.acknowledged, found.rows) == (5, 5, 5)
    assert found.answered == {OLD: 3, NEW: 2}


def test_a_failed_request_is_a_finding_and_is_named() -> None:
    found = judge(
        history(
            request("a", 1, status=502),
            request("b", 2, status=None, release=None, error="BrokenOff: the connection ended"),
        ),
        before=OLD,
    )

    (finding,) = found.findings
    assert finding.startswith("failed requests: 2 (a at 1.000: 502; b at 2.000: BrokenOff")
    assert not found.clean


def test_what_a_fault_itself_costs_is_counted_and_what_is_beside_it_is_not_excused() -> None:
    window = Window(cause="database restarted", start=5, end=6)
    found = judge(
        history(
            request("before", 4.5, status=500),
            request("reaches in", 4.95, status=500),
            request("within", 5.5, status=503),
            request("after", 6.1, status=500),
        ),
        before=OLD,
        windows=[window],
    )

    assert found.excused == {"database restarted": 2}
    (finding,) = found.findings
    assert finding.startswith("failed requests: 2 (before at 4.500: 500; after at 6.100: 500)")


def test_an_answer_by_the_new_version_before_the_switch_is_a_finding() -> None:
    found = judge(history(request("a", 9.8, release=NEW)), before=OLD, moves=[SWITCH])

    (finding,) = found.findings
    assert "by a release that did not serve then: 1 (a at 9.800 by 8.0.0-" in finding


def test_an_answer_by_the_old_version_to_what_was_sent_after_the_switch_is_a_finding() -> None:
    found = judge(history(request("a", 11.01)), before=OLD, moves=[SWITCH])

    (finding,) = found.findings
    assert "a at 11.010 by 7.0.0-" in finding


def test_there_and_back_again_is_followed() -> None:
    back = Move(begun=20.0, done=20.5, after=OLD)
    found = judge(
        history(request("a", 15, release=NEW), request("b", 21), request("c", 21, release=NEW)),
        before=OLD,
        moves=[SWITCH, back],
    )

    (finding,) = found.findings
    assert finding.endswith("1 (c at 21.000 by 8.0.0-bbbbbbbb)")


def test_every_acknowledged_write_is_there_once() -> None:
    found = judge(
        history(
            request("there", 1),
            request("missing", 2),
            request("twice", 3),
            request("refused", 4, status=500),
        ),
        before=OLD,
        windows=[Window(cause="x", start=4, end=5)],
        rows=["there", "twice", "twice", "refused"],
    )

    assert found.findings == [
        "acknowledged writes without a row: 1 (missing)",
        "writes with more than one row: 1 (twice)",
    ]
    assert (found.rows, found.unacknowledged) == (4, 1)


def test_only_a_websocket_without_a_close_frame_is_a_finding() -> None:
    sockets = (
        Socket(number=0, start=1, end=20, held=True),
        Socket(number=1, start=1, end=12, code=1001),
        Socket(number=2, start=1, end=13, release=OLD),
        Socket(number=3, start=14, end=15, error="InvalidStatus: 502"),
    )
    found = judge(history(sockets=sockets), before=OLD)

    assert found.closes == {"1001": 1}
    cut, refused = found.findings
    assert cut == (
        "WebSockets that ended without a close frame: 1 (number 2 at 13.000, of 7.0.0-aaaaaaaa)"
    )
    assert refused.startswith("WebSockets that could not be opened: 1 (number 3 at 14.000")


def test_a_cut_websocket_is_excused_only_where_it_ended_and_only_where_that_was_declared() -> None:
    sockets = (
        Socket(number=0, start=1, end=9),
        Socket(number=1, start=1, end=12),
        Socket(number=2, start=1, end=20),
    )
    cut = Window(cause="drain deadline", start=11, end=13, requests=False, sockets=True)
    requests_only = Window(cause="database restarted", start=8, end=10)

    found = judge(history(sockets=sockets), before=OLD, windows=[requests_only, cut])

    assert found.excused == {"drain deadline": 1}
    (finding,) = found.findings
    assert "2 (number 0 at 9.000, of an unknown release; number 2 at 20.000" in finding


def test_a_record_is_read_up_to_where_its_client_was_killed(tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    lines = [
        {"id": "a", "due": 1, "start": 1, "end": 2, "status": 200, "release": OLD},
        {"websocket": 3, "start": 1, "opened": 1.1, "release": NEW, "close": None, "end": 4},
    ]
    whole = "".join(json.dumps(line) + "\n" for line in lines)
    records.write_text(whole + '{"id": "b", "due"')

    assert read(records) == History(
        (Request(id="a", start=1, end=2, status=200, release=OLD),),
        (Socket(number=3, start=1, end=4, release=NEW),),
    )
