"""A tunnel carries what a client sends and hears, and leaves nobody waiting."""

from __future__ import annotations

import hashlib
import os
import socket
import socketserver
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from changeover.remote.tunnel import forwarding

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_SECONDS = 10.0
MEBIBYTE = 1 << 20


class Channel:
    """A connection to the far side with the four words of paramiko's channel."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.far = socket.create_connection(address)
        self.recv = self.far.recv
        self.sendall = self.far.sendall

    def shutdown_write(self) -> None:
        self.far.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with suppress(OSError):
            self.far.shutdown(socket.SHUT_RDWR)
        self.far.close()


class Digest(socketserver.BaseRequestHandler):
    """Read until the client says it is done, then answer with the digest of it all."""

    def handle(self) -> None:
        heard = hashlib.sha256()
        while chunk := self.request.recv(65536):
            heard.update(chunk)
        self.request.sendall(heard.digest())


class Silence(socketserver.BaseRequestHandler):
    """Greet, and then only listen."""

    def handle(self) -> None:
        self.request.sendall(b"hello")
        while self.request.recv(65536):
            pass


@contextmanager
def far_side(handler: type[socketserver.BaseRequestHandler]) -> Iterator[tuple[str, int]]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield "127.0.0.1", server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def client_of(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=WAIT_SECONDS)


def digest_through(address: tuple[str, int], sent: bytes) -> bytes:
    with client_of(address) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_what_a_client_sends_arrives_whole_and_the_answer_comes_after_its_end() -> None:
    sent = os.urandom(4 * MEBIBYTE)
    with far_side(Digest) as far, forwarding(lambda _client: Channel(far)) as near:
        assert digest_through(near, sent) == hashlib.sha256(sent).digest()


def test_many_clients_at_once_do_not_mix() -> None:
    texts = [os.urandom(50_000) for _ in range(24)]
    heard: dict[int, bytes] = {}
    with far_side(Digest) as far, forwarding(lambda _client: Channel(far)) as near:
        threads = [
            threading.Thread(
                target=lambda n=number, t=text: heard.update({n: digest_through(near, t)})
            )
            for number, text in enumerate(texts)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_SECONDS)
    assert heard == {n: hashlib.sha256(text).digest() for n, text in enumerate(texts)}


def test_a_client_whose_far_side_refuses_is_told_at_once_and_the_next_one_is_served() -> None:
    refuse = True
    with far_side(Digest) as far:

        def reach(_client: tuple[str, int]) -> Channel:
            if refuse:
                raise ConnectionRefusedError
            return Channel(far)

        with forwarding(reach) as near:
            with client_of(near) as client:
                assert client.recv(1) == b""
            refuse = False
            assert digest_through(near, b"x") == hashlib.sha256(b"x").digest()


def test_leaving_ends_the_clients_that_are_still_there() -> None:
    with far_side(Silence) as far:
        with forwarding(lambda _client: Channel(far)) as near:
            client = client_of(near)
            assert client.recv(5) == b"hello"
        with client:
            assert client.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            client_of(near)
    assert not [thread for thread in threading.enumerate() if thread.name == "tunnel"]


def test_a_client_that_resets_ends_its_own_connection_and_no_other() -> None:
    with far_side(Silence) as far, forwarding(lambda _client: Channel(far)) as near:
        stays = client_of(near)
        assert stays.recv(5) == b"hello"
        with client_of(near) as leaves:
            assert leaves.recv(5) == b"hello"
            leaves.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with client_of(near) as later:
            assert later.recv(5) == b"hello"
        stays.settimeout(0)
        with stays, pytest.raises(BlockingIOError):
            stays.recv(1)


class Lost(Channel):
    """A channel whose connection is gone when it is to be closed."""

    def close(self) -> None:
        super().close()
        raise EOFError


def test_leaving_over_a_connection_that_is_lost_ends_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was carried is done: a deployment must not go red because of how its tunnel ends."""
    died: list[object] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    with far_side(Silence) as far:
        with forwarding(lambda _client: Lost(far)) as near:
            client = client_of(near)
            assert client.recv(5) == b"hello"
        with client:
            assert client.recv(1) == b""

    assert died == []
