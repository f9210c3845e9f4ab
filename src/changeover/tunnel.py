"""A local port that is a port of a host, as long as it is needed."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING

from changeover import ssh
from changeover.ssh_failures import SessionLost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.inventory import Environment, Host


@contextlib.contextmanager
def open_tunnel(
    environment: Environment, host: Host, port: int, *, target: str = "127.0.0.1"
) -> Iterator[tuple[str, int]]:
    """Forward a free local port to ``target:port`` as seen from ``host``; give (address, port)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        local_port = int(probe.getsockname()[1])
    with (
        ssh.connection(environment, host) as opened,
        _broken_ends_forgotten(),
        opened.forward_local(
            local_port, remote_port=port, remote_host=target, local_host="127.0.0.1"
        ),
    ):
        _await_listener(local_port, host)
        yield "127.0.0.1", local_port


@contextlib.contextmanager
def _broken_ends_forgotten() -> Iterator[None]:
    """Keep what happened inside a tunnel from being replaced by Fabric's word on its threads.

    A client that leaves abruptly resets its connection, and Fabric raises that on leaving. Whoever
    used the connection has seen the same and has said what it means.
    """
    from invoke.exceptions import ThreadException  # noqa: PLC0415 - comes with fabric

    try:
        yield
    except ThreadException as error:
        if error.__context__ is not None:
            raise error.__context__ from None


def _await_listener(port: int, host: Host) -> None:
    """Wait until Fabric's thread has taken the local port: it begins some time after the call."""
    deadline = time.monotonic() + ssh.CONNECT_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            # as Fabric's own: the two may be bound at once, and only its listening refuses ours
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return
        time.sleep(0.01)
    raise SessionLost(
        f"no tunnel through {host.name} was there after {ssh.CONNECT_SECONDS} s",
        hint="look at the load of this machine, then run this again",
        host=host.name,
    )
