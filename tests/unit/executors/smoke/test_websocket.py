"""WebSocket checks against a real server behind TLS."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import TypeAdapter

from changeover import checks as declared
from changeover import public_tls
from changeover.executors import smoke
from changeover.executors.smoke.values import Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.executors.smoke.conftest import Authority
    from websockets.asyncio.server import ServerConnection

SHOP = "shop.test"
CHECKS: TypeAdapter[tuple[declared.Check, ...]] = TypeAdapter(declared.Checks)


def result(target: Target, websocket: str) -> smoke.CheckResult:
    checks = CHECKS.validate_python([{"id": "ws", "websocket": yaml.safe_load(websocket)}])
    return smoke.apply(target, checks, {}, lambda _: None).results[0]


async def greets(connection: ServerConnection) -> None:
    await connection.send(json.dumps({"type": "noise"}))
    await connection.send(json.dumps({"type": "connected", "heartbeat": 1, "ticket": "t-12345"}))
    async for message in connection:
        said = json.loads(message)
        await connection.send(json.dumps({"type": "pong", "of": said}))


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


async def cuts(connection: ServerConnection) -> None:
    connection.transport.abort()


def test_a_cut_without_a_close_frame_is_red(conversing: Callable[..., Target]) -> None:
    found = result(conversing(cuts), "{path: /, close: {by: server, code: 1001}}")

    assert found.message == "the connection ended without a close frame from the server"


def test_a_slow_upgrade_ends_at_the_deadline(conversing: Callable[..., Target]) -> None:
    target = conversing(greets, lambda *_: asyncio.sleep(1))

    found = result(target, "{path: /, open_seconds: 0.2}")

    assert found.message == "the upgrade was not finished within 0.2 s"


def test_one_thread_alone_uses_the_tls_session(
    conversing: Callable[..., Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Used by two, a session loses now and then what is written while a session ticket is read."""
    users = set()

    class Session(ssl.SSLObject):
        def read(self, *words: Any) -> Any:  # noqa: ANN401 - the library's own
            users.add(threading.get_ident())
            return super().read(*words)

        def write(self, data: Any) -> int:  # noqa: ANN401 - the library's own
            users.add(threading.get_ident())
            return super().write(data)

    class Socket(ssl.SSLSocket):
        def recv(self, *words: Any) -> bytes:  # noqa: ANN401 - the library's own
            users.add(threading.get_ident())
            return super().recv(*words)

        def sendall(self, *words: Any) -> None:  # noqa: ANN401 - the library's own
            users.add(threading.get_ident())
            super().sendall(*words)

    def trusting(authority: Path | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(authority))
        context.sslobject_class, context.sslsocket_class = Session, Socket
        return context

    monkeypatch.setattr(public_tls, "trusting", trusting)
    target = conversing(greets)

    found = result(target, "{path: /, turns: [{send: {x: 1}, receive: {json: {of: {x: 1}}}}]}")

    assert found.ok, found
    assert len(users) == 1


def test_half_a_record_does_not_outlast_the_deadline(authority: Authority) -> None:
    """The beginning of a TLS record wakes a reader, who must not wait for its end in vain."""
    over, let_go = threading.Event(), threading.Event()

    def stall() -> None:
        raw, _ = listener.accept()
        with raw, authority.context().wrap_socket(raw.dup(), server_side=True):
            raw.sendall(b"\x17\x03\x03")
            over.wait(30)
            let_go.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=stall, daemon=True).start()
        target = Target(
            public_url=f"https://{SHOP}:{listener.getsockname()[1]}",
            addresses={SHOP: "127.0.0.1"},
            ca_certificate=authority.file,
        )
        found = result(target, "{path: /, open_seconds: 1}")
        answered_first = not let_go.is_set()
        over.set()

    assert found.message == "the upgrade was not finished within 1 s"
    assert answered_first
