"""Enter the database as the app will: from its hosts, with its role's password."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from changeover.errors import ChangeoverError
from changeover.executors.preflight.findings import Finding
from changeover.remote.tunnel import open_tunnel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.database import Database
    from changeover.inventory import Environment, Host

QUESTION = "app-role"
OWNER_QUESTION = "owner-role"
AT_ONCE = 8


class _Refusal(NamedTuple):
    """How libpq's words tell a refusal, and what to do about it."""

    words: tuple[str, ...]
    message: str
    next: str


WRONG_PASSWORD = _Refusal(
    ("password authentication failed",),
    "{where} refuses the password of {user}",
    "compare changeover_database_passwords in the environment's vault with the server, then run"
    " changeover provision{env}",
)
FULL = _Refusal(
    ("too many clients", "too many connections", "remaining connection slots"),
    "{where} has no connection left for {user}",
    "end sessions that are not needed on {label}, or raise the limit, then run this again",
)
REFUSED = _Refusal(
    ("FATAL",),
    "{where} refuses {user}",
    "the role, its rights and pg_hba.conf are written by changeover provision{env}",
)
NO_ANSWER = _Refusal(
    (),
    "{where} does not answer at {address}",
    "changeover drift{env} names what is not as provisioned: the firewall, PostgreSQL's addresses",
)


def on_hosts(
    environment: Environment, hosts: Sequence[Host], role: Database, question: str = QUESTION
) -> dict[str, Finding]:
    """Enter the database through each of these hosts, at the same time, and say how it went.

    Args:
        environment: Theirs.
        hosts: The hosts that the app runs on.
        role: The database as the app sees it: its address and port are those in the private network.
        question: What the findings are called.
    """
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        found = pool.map(lambda host: _through(environment, host, role, question), hosts)
        return dict(zip((host.name for host in hosts), found, strict=True))


def _through(environment: Environment, host: Host, role: Database, question: str) -> Finding:
    forbidden = threading.Event()
    try:
        with open_tunnel(environment, host, role.port, target=role.host, forbidden=forbidden) as (
            address,
            port,
        ):
            said = _refused(dataclasses.replace(role, host=address, port=port))
    except ChangeoverError as error:
        return Finding.of(error, question)
    where = f"{role.name} on {role.shown_host}"
    if said is None:
        return Finding(
            id=question, status="ok", host=host.name, message=f"{where} lets {role.user} in"
        )
    if forbidden.is_set():
        return Finding(
            id=question,
            status="warn",
            host=host.name,
            message=f"its SSH daemon permits no tunnel to {where}, so whether {role.user} is let"
            " in there was not seen",
            next=f"changeover provision --env {environment.name} --limit {host.name}",
        )
    return _red(host, role, said, question)


def _refused(role: Database) -> str | None:
    """Return what stood in the way; ``None`` when the server was ready for a first statement."""
    parameters: dict[str, Any] = role.parameters()
    try:
        psycopg.connect(**parameters, application_name="changeover preflight").close()
    except psycopg.OperationalError as error:
        return str(error).strip()
    return None


def _red(host: Host, role: Database, said: str, question: str) -> Finding:
    kinds = (WRONG_PASSWORD, FULL, REFUSED)
    refusal = next((kind for kind in kinds if any(w in said for w in kind.words)), NO_ANSWER)
    words = {
        "where": f"{role.name} on {role.shown_host}",
        "user": role.user,
        "label": role.shown_host,
        "address": f"{role.host}:{role.port}",
        "env": f" --env {role.environment}" if role.environment else "",
    }
    return Finding(
        id=question,
        status="red",
        host=host.name,
        message=refusal.message.format(**words),
        next=refusal.next.format(**words),
        cause=said,
    )
