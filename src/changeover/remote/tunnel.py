"""A local port that is a port of a host, as long as it is needed.

Fabric opens the connection; its own forwarding is not used. It waits on channels with ``select``,
for which paramiko keeps a pipe a channel, and closing that pipe races with the transport's thread:
16 of 35,000 closings wrote a stray byte into the next socket that got the pipe's number. Measured
with Fabric 3.2.3: of 1,000 pairs of database sessions one after the other the 222nd broke and none
after it was answered; through this module all were.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

from changeover.remote import ssh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from changeover.inventory import Environment, Host

CHUNK = 65536
PENDING_CONNECTIONS = 16
ADMINISTRATIVELY_PROHIBITED = 1  # RFC 4254, 5.1: what sshd answers beyond its PermitOpen


@contextlib.contextmanager
def open_tunnel(
    environment: Environment,
    host: Host,
    port: int,
    *,
    target: str = "127.0.0.1",
    forbidden: threading.Event | None = None,
) -> Iterator[tuple[str, int]]:
    """Forward a free local port to ``target:port`` as seen from ``host``; give (address, port).

    A connection that the host's side refuses is closed at once, so that its client need not wait.
    ``forbidden`` is set before, where it was the SSH daemon that does not permit this target.
    """
    import paramiko  # noqa: PLC0415 - 160 ms that only commands with hosts should pay

    with ssh.borrowed(environment, host) as opened:
        transport = opened.transport

        def reach(client: tuple[str, int]) -> Any:  # noqa: ANN401 - fabric does not type paramiko
            try:
                return transport.open_channel(
                    "direct-tcpip", (target, port), client, timeout=ssh.CONNECT_SECONDS
                )
            except paramiko.ChannelException as error:
                if forbidden and error.code == ADMINISTRATIVELY_PROHIBITED:
                    forbidden.set()
                raise

        with forwarding(reach) as address:
            yield address


@contextlib.contextmanager
def forwarding(reach: Callable[[tuple[str, int]], Any]) -> Iterator[tuple[str, int]]:
    """Listen on a free local port and carry each connection over what ``reach`` opens for it.

    Args:
        reach: Takes the client's (address, port) and returns a channel with ``recv``, ``sendall``,
            ``shutdown_write`` and ``close``; what it raises ends that one connection.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=PENDING_CONNECTIONS) as listener:
        forwarder = _Forwarder(listener, reach)
        try:
            address, port = listener.getsockname()
            yield str(address), int(port)
        finally:
            forwarder.close()


class _Forwarder:
    """The threads of one tunnel: one that accepts, and two a connection, each only waiting."""

    def __init__(self, listener: socket.socket, reach: Callable[[tuple[str, int]], Any]) -> None:
        self._listener = listener
        self._reach = reach
        self._guard = threading.Lock()
        self._open: dict[socket.socket, Any] = {}
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._accepting = self._start(self._accept)

    def _start(self, work: Callable[..., None], *words: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=words, daemon=True, name="tunnel")
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                client, address = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(self._start(self._carry, client, address))

    def _carry(self, client: socket.socket, address: tuple[str, int]) -> None:
        import paramiko  # noqa: PLC0415 - 160 ms that only commands with hosts should pay

        with (
            client,
            contextlib.suppress(OSError, EOFError, paramiko.SSHException),
            contextlib.closing(self._reach(address)) as channel,
        ):
            if not self._entered(client, channel):
                return
            try:
                outward = self._start(_outward, client, channel)
                _inward(client, channel)
                outward.join(ssh.CONNECT_SECONDS)
            finally:
                self._left(client)

    def _entered(self, client: socket.socket, channel: Any) -> bool:  # noqa: ANN401 - paramiko's
        with self._guard:
            if not self._closed:
                self._open[client] = channel
            return not self._closed

    def _left(self, client: socket.socket) -> None:
        with self._guard:
            self._open.pop(client, None)

    def close(self) -> None:
        """Accept no more, end what is still carried, and wait for the threads."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(ssh.CONNECT_SECONDS)
        with self._guard:
            self._closed = True
            for client, channel in self._open.items():
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
                ssh.dismiss(channel)
        for thread in self._threads:
            thread.join(ssh.CONNECT_SECONDS)


def _outward(client: socket.socket, channel: Any) -> None:  # noqa: ANN401 - paramiko's channel
    """Carry what the client sends; its end is told, and what comes back is still carried."""
    with contextlib.suppress(OSError, EOFError):
        while chunk := client.recv(CHUNK):
            channel.sendall(chunk)
        channel.shutdown_write()
        return
    ssh.dismiss(channel)


def _inward(client: socket.socket, channel: Any) -> None:  # noqa: ANN401 - paramiko's channel
    """Carry what the host sends; when it has no more, the connection is over."""
    with contextlib.suppress(OSError, EOFError):
        while chunk := channel.recv(CHUNK):
            client.sendall(chunk)
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
