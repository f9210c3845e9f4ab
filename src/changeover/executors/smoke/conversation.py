"""One WebSocket conversation from outside, every wait before a deadline."""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

import websockets.exceptions
import websockets.frames
from websockets.sync.client import ClientConnection, connect

from changeover import public_tls
from changeover.executors.smoke import rules
from changeover.executors.smoke.masking import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.http11 import Response

    from changeover.checks.records import Close, Receive, Turn, WebSocket
    from changeover.executors.smoke.values import Values


class _Listening(ClientConnection):
    """A connection that notes the server's ping frames, which otherwise stay out of sight."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the library's own
        self.pinged = threading.Event()
        super().__init__(*args, **kwargs)

    def process_event(self, event: Any) -> None:  # noqa: ANN401 - the library's own
        """Note a ping, then do what the library does."""
        if (
            isinstance(event, websockets.frames.Frame)
            and event.opcode is websockets.frames.Opcode.PING
        ):
            self.pinged.set()
        super().process_event(event)

    def ping_within(self, seconds: float) -> bool:
        """Wait for a ping since the last one asked for; return whether it came."""
        came = self.pinged.wait(seconds)
        self.pinged.clear()
        return came


def target_of(websocket: WebSocket, values: Values) -> str:
    """Return ``WS wss://...`` fit to be shown."""
    return values.shown(f"WS {values.target.base}{websocket.path}")


def problems(websocket: WebSocket, values: Values) -> Iterator[str]:
    """Hold the conversation and yield in what way it is not as declared."""
    parts = urllib.parse.urlsplit(values.target.base)
    host = values.target.host
    port = parts.port or 443
    address = values.target.addresses.get(host, host)
    try:
        connection = connect(
            f"wss://{parts.netloc}{values.path(websocket.path)}",
            ssl=public_tls.trusting(values.target.ca_certificate),
            additional_headers={
                name: values.text(value) for name, value in websocket.headers.items()
            },
            subprotocols=[websockets.Subprotocol(name) for name in websocket.subprotocols] or None,
            user_agent_header="changeover",
            proxy=None,
            open_timeout=websocket.open_seconds,
            close_timeout=websocket.close.within_seconds,
            ping_interval=None,
            create_connection=_Listening,
            legacy=True,
            address=(address, port),
        )
    except websockets.exceptions.InvalidStatus as error:
        yield from _refusal(websocket, error.response, values)
        return
    except TimeoutError:
        yield f"the upgrade was not finished within {websocket.open_seconds:g} s"
        return
    except (OSError, websockets.exceptions.WebSocketException) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        yield public_tls.fault(error) or f"the connection failed: {said or error}"
        return
    if not isinstance(connection, _Listening):
        raise TypeError("websockets made a connection of another kind")
    try:
        yield from _conversation(websocket, connection, values)
    finally:
        connection.close()


def _refusal(websocket: WebSocket, response: Response, values: Values) -> Iterator[str]:
    if websocket.refused == response.status_code:
        return
    body = values.redactor(
        excerpt(values.redactor((response.body or b"").decode("utf-8", "replace")))
    )
    wanted = websocket.refused or 101
    yield f"the upgrade was answered with {response.status_code}, expected {wanted}: {body}"


def _conversation(websocket: WebSocket, connection: _Listening, values: Values) -> Iterator[str]:
    if websocket.refused is not None:
        yield f"the connection was accepted, expected to be refused with {websocket.refused}"
        return
    if websocket.subprotocols and connection.subprotocol not in websocket.subprotocols:
        yield f"the server chose the subprotocol {connection.subprotocol}"
    for number, turn in enumerate(websocket.turns, 1):
        fault = _turn(turn, connection, values)
        if fault:
            yield f"turn {number}: {fault}"
            return
    yield from _close(websocket.close, connection)


def _turn(turn: Turn, connection: _Listening, values: Values) -> str | None:
    if turn.send is not None:
        content = values.filled(turn.send)
        try:
            connection.send(content if isinstance(content, str) else json.dumps(content))
        except websockets.exceptions.ConnectionClosed:
            return f"the server had closed with code {connection.close_code}"
    if turn.receive is None:
        return None
    return _receive(turn.receive, connection, values)


def _receive(receive: Receive, connection: _Listening, values: Values) -> str | None:
    """Wait for the declared message; return what is wrong, or nothing."""
    end = time.monotonic() + receive.within_seconds
    if receive.ping:
        pinged = connection.ping_within(receive.within_seconds)
        return None if pinged else f"no ping within {receive.within_seconds:g} s"
    last = "nothing came"
    while (left := end - time.monotonic()) > 0:
        try:
            message = connection.recv(timeout=left, decode=True)
        except TimeoutError:
            break
        except websockets.exceptions.ConnectionClosed:
            return f"the server closed with code {connection.close_code} ({last})"
        faults = _differences(receive, message, values)
        if not faults:
            return _save(receive, message, values)
        last = f"the last message: {values.redactor(excerpt(values.redactor(message)))}"
    return f"no such message within {receive.within_seconds:g} s ({last})"


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


def _close(close: Close, connection: _Listening) -> Iterator[str]:
    if close.by == "server":
        connection.recv_events_thread.join(close.within_seconds)
        if connection.recv_events_thread.is_alive():
            yield f"the server did not close within {close.within_seconds:g} s"
            return
    else:
        connection.close(close.code)
    received = connection.protocol.close_rcvd
    if received is None:
        yield "the connection ended without a close frame from the server"
    elif received.code != close.code:
        yield f"the server closed with code {received.code}, expected {close.code}"
