"""Connections to given addresses under public names, cut when their time is up."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

import requests.adapters
import urllib3.connection
import urllib3.connectionpool
import urllib3.exceptions

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping


class Deadline:
    """Cuts every connection that was opened under it when its time is up."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.passed = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def watch(self, opened: socket.socket) -> None:
        """Put a connection under the deadline."""
        with self._lock:
            # A duplicate, because wrapping the socket in TLS detaches the original.
            self._sockets.append(socket.socket(fileno=os.dup(opened.fileno())))

    def _cut(self) -> None:
        with self._lock:
            self.passed = True
            for opened in self._sockets:
                with contextlib.suppress(OSError):
                    opened.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        """Start the clock."""
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the clock and let the connections go."""
        self._timer.cancel()
        with self._lock:
            for opened in self._sockets:
                opened.close()
            self._sockets.clear()


class Adapter(requests.adapters.HTTPAdapter):
    """Connects to given addresses, while the name stays in TLS and ``Host``.

    Each exchange has a connection of its own: behind a balancer that is how every host is asked.
    The context is shared, since reading authorities takes longer than a handshake.
    """

    def __init__(
        self, addresses: Mapping[str, str], deadline: Deadline, context: ssl.SSLContext
    ) -> None:
        self._context = context
        self._addresses = addresses
        self._deadline = deadline
        super().__init__()

    def cert_verify(self, conn: Any, *_: object, **__: object) -> None:  # noqa: ANN401 - requests' own
        """Trust whom the context trusts, and nobody that requests would add to it."""
        conn.cert_reqs = "CERT_REQUIRED"

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests' own
        """Make pools whose connections go to the given addresses."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)
        addresses, deadline = self._addresses, self._deadline

        def opened(connection: urllib3.connection.HTTPConnection) -> socket.socket:
            address = addresses.get(connection.host, connection.host)
            try:
                raw = socket.create_connection((address, connection.port), deadline.seconds)
            except OSError as error:
                raise urllib3.exceptions.NewConnectionError(
                    connection,
                    f"cannot connect to {address}:{connection.port}: {error.strerror or error}",
                ) from error
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            deadline.watch(raw)
            return raw

        class Plain(urllib3.connection.HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return opened(self)

        class Secure(urllib3.connection.HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return opened(self)

        class PlainPool(urllib3.connectionpool.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.connectionpool.HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
