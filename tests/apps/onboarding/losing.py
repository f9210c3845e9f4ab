"""A way to a database on which the answer to one commit is lost."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 65536


class Losing:
    """Carries connections to a port; once armed, it ends one that commits, which is done.

    Args:
        port: The database's.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        # The how-manieth commit from now is lost; 0 for none.
        self.at = 0
        self.lost = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self._open += [client, server]
            loses = threading.Event()
            for one, other, inward in ((client, server, False), (server, client, True)):
                words = (one, other, loses, inward)
                threading.Thread(target=self._carry, args=words, daemon=True).start()

    def _carry(
        self, one: socket.socket, other: socket.socket, loses: threading.Event, inward: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := one.recv(CHUNK):
                if not inward and b"COMMIT\0" in chunk and self.at:
                    self.at -= 1
                    if not self.at:
                        loses.set()
                elif inward and loses.is_set():
                    self.lost.set()
                    break
                other.sendall(chunk)
        for each in (one, other):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Carry no more."""
        self._listener.close()
        for each in self._open:
            each.close()


@contextlib.contextmanager
def losing(port: int) -> Iterator[Losing]:
    """Give a way to a port."""
    with contextlib.closing(Losing(port)) as way:
        yield way
