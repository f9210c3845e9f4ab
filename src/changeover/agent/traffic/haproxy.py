"""HAProxy's servers, by its admin socket: what they are, and taking them out of use or back into it.

A host is several servers: one a port, and for each of them one of last resort, ``-unhealthy``. Its
name is theirs.
"""

from __future__ import annotations

import csv
import io
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.agent.failure import ActionError
from changeover.agent.system import durable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

ADMIN_SOCKET = "run/haproxy/admin.sock"
# What HAProxy reads at every start and reload (server-state-file): the servers that stay out of use.
KEPT = "var/lib/haproxy/fenced"
ANSWER_SECONDS = 10.0
MOST_BYTES = 1 << 16
LAST_RESORT = "-unhealthy"
FORCED_MAINTENANCE = 1
RUNNING = 2
# A check counts upwards from 2, the checks that a server has to pass (rise) before it is up.
CHECKED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server as HAProxy tells of it.

    Args:
        host: The host that it is.
        fenced: Whether it is out of use by command.
        well: Whether users are sent to it, and a check has passed since it came into use.
        line: All of it, as HAProxy reads it back at a start.
    """

    backend: str
    name: str
    host: str
    fenced: bool
    well: bool
    line: str

    @property
    def path(self) -> str:
        """Return what commands call it."""
        return f"{self.backend}/{self.name}"


def ask(root: Path, command: str) -> str:
    """Send one command and return the answer.

    Raises:
        ActionError: ``balancer-silent``; HAProxy does not answer.
    """
    path = root / ADMIN_SOCKET
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
            asked.settimeout(ANSWER_SECONDS)
            asked.connect(str(path))
            asked.sendall(f"{command}\n".encode())
            asked.shutdown(socket.SHUT_WR)
            said = b"".join(iter(lambda: asked.recv(MOST_BYTES), b""))
    except OSError as error:
        raise ActionError(
            "balancer-silent",
            "HAProxy does not answer at its admin socket",
            cause=f"{path}: {error}",
            hint="systemctl status haproxy on this host",
        ) from error
    return said.decode("utf-8", "replace").strip()


def tell(root: Path, command: str) -> None:
    """Send one command that answers nothing when it is done.

    Raises:
        ActionError: ``balancer-refused``, with what HAProxy said.
    """
    if said := ask(root, command):
        raise ActionError("balancer-refused", f"HAProxy refuses: {command}", cause=said)


def servers(root: Path) -> tuple[Server, ...]:
    """Return every server, those of last resort included."""
    lines = [line for line in ask(root, "show servers state").splitlines() if line]
    header = next((line for line in lines if line.startswith("#")), "#")
    names = header.lstrip("# ").split()
    entries = [line for line in lines[1:] if not line.startswith("#")]
    return tuple(_server(dict(zip(names, line.split(), strict=False)), line) for line in entries)


def _server(fields: dict[str, str], line: str) -> Server:
    name = fields["srv_name"]
    fenced = bool(int(fields["srv_admin_state"]) & FORCED_MAINTENANCE)
    up = int(fields["srv_op_state"]) == RUNNING and int(fields["srv_check_health"]) >= CHECKED
    return Server(
        backend=fields["be_name"],
        name=name,
        host=name.removesuffix(LAST_RESORT),
        fenced=fenced,
        well=up and not fenced,
        line=line,
    )


def of_hosts(root: Path, hosts: Collection[str]) -> tuple[Server, ...]:
    """Return the servers of these hosts.

    Raises:
        ActionError: ``balancer-unknown-host``; HAProxy has none of that name.
    """
    known = servers(root)
    missing = sorted(set(hosts) - {each.host for each in known})
    if missing:
        listed = ", ".join(sorted({each.host for each in known}))
        raise ActionError(
            "balancer-unknown-host",
            f"HAProxy has no server {', '.join(missing)}; it has {listed}",
            hint="changeover provision tells HAProxy of every app host of the inventory",
        )
    return tuple(each for each in known if each.host in hosts)


def keep(root: Path, hosts: Collection[str]) -> None:
    """Write down which hosts stay out of use over a start of HAProxy: these and no others."""
    found = [each for each in servers(root) if each.host in hosts and each.fenced]
    header = next(line for line in ask(root, "show servers state").splitlines() if line[:1] == "#")
    content = "\n".join(["1", header, *(each.line for each in found)]) + "\n"
    durable.write(root / KEPT, content.encode(), durable.PUBLIC)


def sessions(root: Path, found: Sequence[Server]) -> int:
    """Return how many connections go through these servers now."""
    said = ask(root, "show stat").lstrip("# ")
    paths = {each.path for each in found}
    rows = csv.DictReader(io.StringIO(said))
    return sum(int(row["scur"] or 0) for row in rows if f"{row['pxname']}/{row['svname']}" in paths)
