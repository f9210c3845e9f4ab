"""What went over SSH: counted by the kernel, summed by host, told once."""

from __future__ import annotations

import socket

from changeover import report
from changeover.remote import traffic
from changeover.remote.traffic import Meter, Traffic

SENT, RECEIVED = 30_000, 7_000


def exchange(near: socket.socket, far: socket.socket) -> None:
    near.sendall(b"x" * SENT)
    left = SENT
    while left:
        left -= len(far.recv(left))
    far.sendall(b"y" * RECEIVED)
    left = RECEIVED
    while left:
        left -= len(near.recv(left))


def test_a_connection_is_counted_while_it_is_open_when_it_has_ended_and_never_twice() -> None:
    meter = Meter()
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    with near, far:
        meter.opened("app1", near)
        meter.session("app1")
        exchange(near, far)
        first = meter.take()["app1"]
        meter.session("app1")
        exchange(near, far)
        meter.ended(near)

    second = meter.take()["app1"]

    assert (first.connections, first.sessions) == (1, 1)
    assert (second.connections, second.sessions) == (0, 1)
    for each in (first, second):
        # The kernel counts the handshake of TCP as one byte.
        assert (each.sent - SENT in {0, 1}, each.received) == (True, RECEIVED)
    assert meter.take() == {}


def test_what_a_connection_carried_before_it_broke_off_is_not_lost() -> None:
    meter = Meter()
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    with far:
        meter.opened("app1", near)
        exchange(near, far)
        meter.session("app1")
        near.close()
        meter.ended(near)

    assert meter.take()["app1"].received == RECEIVED


def test_the_report_sums_what_every_controller_of_a_deployment_has_moved() -> None:
    end = {
        "type": "deployment-end",
        "at": "2026-01-01T00:00:00+00:00",
        "traffic": {
            "app1": Traffic(connections=2, sessions=9, sent=1_500_000, received=10_000).as_json(),
            "db1": Traffic(connections=1, sessions=1, sent=20_000, received=10_000).as_json(),
        },
    }
    summary = report.summarise([end, end])

    assert (
        "over SSH: 20 sessions on 6 connections, 3.04 MB sent, 0.04 MB received"
        " (app1 18 on 4, db1 2 on 2)"
    ) in report.as_text(summary)
    assert summary.as_json()["traffic"]["app1"]["sessions"] == 18


def test_a_journal_from_before_it_was_counted_says_nothing_of_it() -> None:
    end = {"type": "deployment-end", "at": "2026-01-01T00:00:00+00:00"}

    assert "over SSH" not in report.as_text(report.summarise([end]))
    assert traffic.read(end) == {}
