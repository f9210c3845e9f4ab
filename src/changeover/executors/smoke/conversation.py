"""One WebSocket conversation from outside, every wait before a deadline."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.parse
from typing import TYPE_CHECKING, Any

import websockets.exceptions
import websockets.frames
from websockets.asyncio.client import ClientConnection, connect

from changeover import public_tls
from changeover.executors.smoke import rules
from changeover.executors.smoke.masking import excerpt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from websockets.http11 import Response

    from changeover.checks.records import Close, Receive, Turn, WebSocket
    from changeover.executors.smoke.values import Values


class _Listening(ClientConnection):
    """A connection that notes the server's ping frames, which otherwise stay out of sight."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the library's own
        self.pinged = asyncio.Event()
        super().__init__(*args, **kwargs)

    def process_event(self, event: Any) -> None:  # noqa: ANN401 - the library's own
        """Note a ping, then do what the library does."""
        if (
            isinstance(event, websockets.frames.Frame)
            and event.opcode is websockets.frames.Opcode.PING
        ):
            self.pinged.set()
        super().process_event(event)

    async def ping_within(self, seconds: float) -> bool:
        """Wait for a ping since the last one asked for; return whether it came."""
        try:
            async with asyncio.timeout(seconds):
                await self.pinged.wait()
        except TimeoutError:
            return False
        self.pinged.clear()
        return True


def target_of(websocket: WebSocket, values: Values) -> str:
    """Return ``WS wss://...`` fit to be shown."""
    return values.shown(f"WS {values.target.base}{websocket.path}")


def problems(websocket: WebSocket, values: Values) -> list[str]:
    """Hold the conversation and return in what way it is not as declared.

    One thread reads and writes. A TLS session used by two loses what one writes while the other
    reads the server's session tickets, which arrive just when the upgrade is asked for.
    """
    return asyncio.run(_hold(websocket, values))


async def _hold(websocket: WebSocket, values: Values) -> list[str]:
    try:
        connection = await _open(websocket, values)
    except websockets.exceptions.InvalidStatus as error:
        return list(_refusal(websocket, error.response, values))
    except TimeoutError:
        return [f"the upgrade was not finished within {websocket.open_seconds:g} s"]
    except (OSError, websockets.exceptions.WebSocketException) as error:
        return [public_tls.fault(error) or f"the connection failed: {_said(error)}"]
    try:
        return [problem async for problem in _conversation(websocket, connection, values)]
    finally:
        await connection.close()


async def _open(websocket: WebSocket, values: Values) -> _Listening:
    parts = urllib.parse.urlsplit(values.target.base)
    host = values.target.host
    connection = await connect(
        f"wss://{parts.netloc}{values.path(websocket.path)}",
        ssl=values.trusting(),
        additional_headers={
            **values.target.headers(values.target.base),
            **{name: values.text(value) for name, value in websocket.headers.items()},
        },
        subprotocols=[websockets.Subprotocol(name) for name in websocket.subprotocols] or None,
        user_agent_header="changeover",
        proxy=None,
        open_timeout=websocket.open_seconds,
        close_timeout=websocket.close.within_seconds,
        ping_interval=None,
        create_connection=_Listening,
        host=values.target.addresses.get(host, host),
        port=parts.port or 443,
    )
    if not isinstance(connection, _Listening):
        raise TypeError("websockets made a connection of another kind")
    return connection


def _said(error: Exception) -> str:
    """Return what happened; asyncio puts the address into the system's words."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error)


def _refusal(websocket: WebSocket, response: Response, values: Values) -> Iterator[str]:
    if websocket.refused == response.status_code:
        return
    body = values.redactor(
        excerpt(values.redactor((response.body or b"").decode("utf-8", "replace")))
    )
    wanted = websocket.refused or 101
    yield f"the upgrade was answered with {response.status_code}, expected {wanted}: {body}"


async def _conversation(
    websocket: WebSocket, connection: _Listening, values: Values
) -> AsyncIterator[str]:
    if websocket.refused is not None:
        yield f"the connection was accepted, expected to be refused with {websocket.refused}"
        return
    if websocket.subprotocols and connection.subprotocol not in websocket.subprotocols:
        yield f"the server chose the subprotocol {connection.subprotocol}"
    for number, turn in enumerate(websocket.turns, 1):
        fault = await _turn(turn, connection, values)
        if fault:
            yield f"turn {number}: {fault}"
            return
    fault = await _close(websocket.close, connection)
    if fault:
        yield fault


async def _turn(turn: Turn, connection: _Listening, values: Values) -> str | None:
    if turn.send is not None:
        content = values.filled(turn.send)
        try:
            await connection.send(content if isinstance(content, str) else json.dumps(content))
        except websockets.exceptions.ConnectionClosed:
            return f"the server had closed with code {connection.close_code}"
    if turn.receive is None:
        return None
    if turn.receive.ping:
        pinged = await connection.ping_within(turn.receive.within_seconds)
        return None if pinged else f"no ping within {turn.receive.within_seconds:g} s"
    return await _receive(turn.receive, connection, values)


async def _receive(receive: Receive, connection: _Listening, values: Values) -> str | None:
    """Wait for the declared message; return what is wrong, or nothing."""
    last = "nothing came"
    try:
        async with asyncio.timeout(receive.within_seconds):
            while True:
                message = await connection.recv(decode=True)
                if not _differences(receive, message, values):
                    return _save(receive, message, values)
                last = f"the last message: {values.redactor(excerpt(values.redactor(message)))}"
    except TimeoutError:
        return f"no such message within {receive.within_seconds:g} s ({last})"
    except websockets.exceptions.ConnectionClosed:
        return f"the server closed with code {connection.close_code} ({last})"


def _differences(receive: Receive, message: str, values: Values) -> list[str]:
    if receive.contains is not None:
        return [] if values.text(receive.contains) in message else ["other text"]
    try:
        document = json.loads(message)
    except ValueError:
        return ["not JSON"]
    return list(rules.subset(values.filled(receive.body_json), document))


def _save(receive: Receive, message: str, values: Values) -> str | None:
    if not receive.save:
        return None
    try:
        document = json.loads(message)
    except ValueError:
        return "nothing to save: the message is not JSON"
    for name, source in receive.save.items():
        found = rules.at(document, source.removeprefix("json:"))
        if found is rules.ABSENT:
            return f"nothing to save as ${{{name}}}: the message has no {source}"
        values.save(name, found)
    return None


async def _close(close: Close, connection: _Listening) -> str | None:
    if close.by == "server":
        try:
            async with asyncio.timeout(close.within_seconds):
                await connection.wait_closed()
        except TimeoutError:
            return f"the server did not close within {close.within_seconds:g} s"
    else:
        await connection.close(close.code)
    received = connection.protocol.close_rcvd
    if received is None:
        return "the connection ended without a close frame from the server"
    if received.code != close.code:
        return f"the server closed with code {received.code}, expected {close.code}"
    return None
