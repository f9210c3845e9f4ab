"""WebSocket checks against a real server behind TLS."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
import yaml
from pydantic import TypeAdapter

from changeover import checks as declared
from changeover.executors import smoke

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.sync.server import ServerConnection

    from changeover.executors.smoke.values import Target

CHECKS: TypeAdapter[tuple[declared.Check, ...]] = TypeAdapter(declared.Checks)


def result(target: Target, websocket: str) -> smoke.CheckResult:
    # A busy machine must not decide what a test says: opening is given time unless it is the point.
    declared_socket = {"open_seconds": 60, **yaml.safe_load(websocket)}
    checks = CHECKS.validate_python([{"id": "ws", "websocket": declared_socket}])
    return smoke.apply(target, checks, {}, lambda _: None).results[0]


def greets(connection: ServerConnection) -> None:
    connection.send(json.dumps({"type": "noise"}))
    connection.send(json.dumps({"type": "connected", "heartbeat": 1, "ticket": "t-12345"}))
    for message in connection:
        said = json.loads(message)
        connection.send(json.dumps({"type": "pong", "of": said}))


def test_a_conversation(conversing: Callable[..., Target]) -> None:
    found = result(
        conversing(greets),
        """
        path: /ws?ticket=1
        turns:
          - receive: {json: {type: connected}, within_seconds: 3, save: {ticket: json:/ticket}}
          - {send: {ticket: "${ticket}"}, receive: {json: {of: {ticket: t-12345}}}}
        """,
    )

    assert found.ok, found


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ("[{receive: {json: {type: welcome}, within_seconds: 0.3}}]", "turn 1: no such message"),
        ("[{receive: {contains: nope, within_seconds: 0.3}}]", "turn 1: no such message"),
        ("[{receive: {ping: true, within_seconds: 0.3}}]", "turn 1: no ping within 0.3 s"),
    ],
)
def test_what_does_not_come_is_red(
    conversing: Callable[..., Target], turns: str, message: str
) -> None:
    found = result(conversing(greets), f"{{path: /ws, turns: {turns}}}")

    assert found.message.startswith(message)


def test_a_ping_frame_is_a_heartbeat(conversing: Callable[..., Target]) -> None:
    target = conversing(greets, ping_interval=0.1)

    assert result(target, "{path: /, turns: [{receive: {ping: true, within_seconds: 3}}]}").ok


def test_a_refusal_is_expected_or_told(conversing: Callable[..., Target]) -> None:
    target = conversing(greets, lambda c, _: c.respond(401, '{"token": "abc-secret-1"}'))

    assert result(target, "{path: /ws, refused: 401}").ok
    red = result(target, "{path: /ws}")
    assert red.message.startswith("the upgrade was answered with 401, expected 101")
    assert "abc-secret-1" not in repr(red)


def test_an_open_door_is_red_where_a_refusal_is_declared(conversing: Callable[..., Target]) -> None:
    found = result(conversing(greets), "{path: /ws, refused: 401}")

    assert "expected to be refused with 401" in found.message


def test_close_codes(conversing: Callable[..., Target]) -> None:
    away = conversing(lambda connection: connection.close(1001))

    assert result(away, "{path: /, close: {by: server, code: 1001}}").ok
    red = result(away, "{path: /, close: {by: server, code: 1000}}")
    assert red.message == "the server closed with code 1001, expected 1000"
    stays = conversing(greets)
    late = result(stays, "{path: /, close: {by: server, code: 1001, within_seconds: 0.2}}")
    assert late.message == "the server did not close within 0.2 s"


def test_a_cut_without_a_close_frame_is_red(conversing: Callable[..., Target]) -> None:
    cut = conversing(lambda connection: connection.socket.shutdown(2))

    found = result(cut, "{path: /, close: {by: server, code: 1001}}")

    assert found.message == "the connection ended without a close frame from the server"


def test_a_slow_upgrade_ends_at_the_deadline(conversing: Callable[..., Target]) -> None:
    target = conversing(greets, lambda *_: time.sleep(1))

    found = result(target, "{path: /, open_seconds: 0.2}")

    assert found.message == "the upgrade was not finished within 0.2 s"
