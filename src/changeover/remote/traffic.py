"""What this process moves over SSH, by host: connections, sessions on them, and bytes.

Bytes are the kernel's own count of each connection (``TCP_INFO``), so they are what the network
carried, encryption and handshakes among them, and counting them costs nothing on the way.
"""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from changeover.counts import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# struct tcp_info of linux/tcp.h: tcpi_bytes_acked and tcpi_bytes_received, since Linux 4.1.
ACKED_AND_RECEIVED = struct.Struct("=QQ")
AT_BYTE = 120
LARGEST_INFO = 256
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What went over SSH.

    Args:
        connections: How many connections were opened.
        sessions: How many commands, agents among them, and file transfers were begun on them;
            what a tunnel carries is counted in bytes alone.
        sent: Bytes that the other side acknowledged.
        received: Bytes that came.
    """

    connections: int = 0
    sessions: int = 0
    sent: int = 0
    received: int = 0

    def __add__(self, other: Self) -> Traffic:
        """Return both together."""
        return Traffic(
            connections=self.connections + other.connections,
            sessions=self.sessions + other.sessions,
            sent=self.sent + other.sent,
            received=self.received + other.received,
        )

    def __sub__(self, other: Self) -> Traffic:
        """Return what came after the other."""
        return Traffic(
            connections=self.connections - other.connections,
            sessions=self.sessions - other.sessions,
            sent=self.sent - other.sent,
            received=self.received - other.received,
        )

    def as_json(self) -> dict[str, int]:
        """Return it as plain JSON."""
        return asdict(self)


def carried(connection: socket.socket) -> Traffic:
    """Return the bytes of a connection that is open; none where the kernel does not tell."""
    try:
        told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, LARGEST_INFO)
        sent, received = ACKED_AND_RECEIVED.unpack_from(told, AT_BYTE)
    except (OSError, struct.error):
        return Traffic()
    return Traffic(sent=sent, received=received)


class Meter:
    """Counts what a process moves, whichever of its threads does, until it is read."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._hosts: dict[str, Traffic] = {}
        self._open: dict[socket.socket, tuple[str, Traffic]] = {}

    def add(self, host: str, more: Traffic) -> None:
        """Count what was moved to and from a host by others in our name."""
        with self._guard:
            self._add(host, more)

    def _add(self, host: str, more: Traffic) -> None:
        self._hosts[host] = self._hosts.get(host, Traffic()) + more

    def opened(self, host: str, connection: socket.socket) -> None:
        """Count a connection, and from here on its bytes."""
        with self._guard:
            self._add(host, Traffic(connections=1))
            self._open[connection] = (host, Traffic())

    def session(self, host: str) -> None:
        """Count a session, and what open connections have carried: one may break off in it."""
        with self._guard:
            self._add(host, Traffic(sessions=1))
            self._read_all()

    def ended(self, connection: socket.socket) -> None:
        """Count the last bytes of a connection that is about to be closed."""
        with self._guard:
            self._read(connection)
            del self._open[connection]

    def _read_all(self) -> None:
        for connection in list(self._open):
            self._read(connection)

    def _read(self, connection: socket.socket) -> None:
        host, before = self._open[connection]
        now = carried(connection)
        # One that broke off is closed already, and what it carried last is not known.
        if now.received >= before.received:
            self._add(host, now - before)
            self._open[connection] = (host, now)

    def take(self) -> dict[str, Traffic]:
        """Return what was moved since this was asked last, by host."""
        with self._guard:
            self._read_all()
            taken, self._hosts = self._hosts, {}
        return dict(sorted(taken.items()))


# A process has one, as it has one count of its CPU time: what connects is in many hands.
METER = Meter()


def total(hosts: Iterable[Traffic]) -> Traffic:
    """Return what went to and from all hosts."""
    return sum(hosts, Traffic())


def read(entry: Mapping[str, Any]) -> dict[str, Traffic]:
    """Return what the event that ends a run says of it; nothing where it was not counted yet."""
    return {str(host): Traffic(**each) for host, each in (entry.get("traffic") or {}).items()}


def words(hosts: Mapping[str, Traffic]) -> str:
    """Say in a line what was moved in all, and how it spreads over the hosts."""
    every = total(hosts.values())
    spread = ", ".join(
        f"{host} {each.sessions} on {each.connections}" for host, each in hosts.items()
    )
    return (
        f"over SSH: {counted(every.sessions, 'session')}"
        f" on {counted(every.connections, 'connection')}"
        f", {every.sent / MEGABYTE:.2f} MB sent, {every.received / MEGABYTE:.2f} MB received"
        + (f" ({spread})" if len(hosts) > 1 else "")
    )
