"""Hold the hosts against a release's requirements before anything is touched."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover import public_tls
from changeover.errors import ChangeoverError
from changeover.executors.preflight import certificates, interpreter, requirements, sign_in
from changeover.executors.preflight.disks import directories
from changeover.executors.preflight.facts import HostFacts, Server, gather
from changeover.executors.preflight.findings import Finding, PreflightOutcome, PreflightRed
from changeover.executors.preflight.interpreter import Interpreter
from changeover.remote import ssh

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from changeover.database import Database
    from changeover.inventory import Environment
    from changeover.release.model import Requirements

__all__ = [
    "Entries",
    "Finding",
    "Interpreter",
    "PreflightOutcome",
    "PreflightRed",
    "Server",
    "apply",
    "certificate_path",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """The database as a release enters it from its hosts.

    Args:
        role: As the app does; ``None`` where it does not.
        owner: As its own migrator does, from the first app host; ``None`` where there is none.
    """

    role: Database | None = None
    owner: Database | None = None


NOWHERE = Entries()


def certificate_path(app: str) -> str:
    """Return where a host keeps the app's certificate chain; everyone may read it."""
    return f"/etc/ssl/changeover/{app}/fullchain.pem"


def apply(
    environment: Environment,
    app: str,
    requires: Requirements,
    probe: Callable[[], Server] | None,
    report: Callable[[dict[str, Any]], None],
    *,
    enters: Entries = NOWHERE,
    python: Interpreter | None = None,
) -> PreflightOutcome:
    """Ask all hosts at once and return what fits and what does not; nothing is changed.

    Args:
        environment: Where the release is to go.
        app: Its app.
        requires: Its requirements: below the minimum is red, below the recommendation a warning.
        probe: Enters the database as its owner and returns what the server says, or raises;
            ``None`` for an app without a database. Runs beside the other questions.
        report: Called with one event a finding.
        enters: The database as the release enters it.
        python: What the release runs on, where it is in Python.

    Raises:
        InvalidInput: The authority that clients trust, the deploy key, the recorded host keys or
            the recipients of backups are not usable as they stand; nothing was asked.
    """
    begun = time.monotonic()
    context = public_tls.trusting(environment.tls.ca_certificate)
    ssh.require_access(environment)
    environment.require_recipients()
    with ThreadPoolExecutor(max_workers=1) as beside:
        asked = beside.submit(entered, environment, probe, enters.role, enters.owner)
        facts = gather(environment, environment.hosts, (certificate_path(app),), directories(app))
        database, signed_in = asked.result()
    found = []
    more = _of_interpreter(environment, facts, python) if python is not None else {}
    here = {name: [*more.get(name, ()), *signed_in.get(name, ())] for name in facts}
    for finding in _all(environment, app, requires, database, facts, here, context):
        report(finding.as_event())
        found.append(finding)
    return PreflightOutcome(findings=tuple(found), seconds=time.monotonic() - begun)


def entered(
    environment: Environment,
    probe: Callable[[], Server] | None,
    role: Database | None,
    owner: Database | None = None,
) -> tuple[Server | ChangeoverError | None, dict[str, list[Finding]]]:
    """Enter as the owner, and where that goes, from app hosts: what stops both is told once."""
    try:
        server = None if probe is None else probe()
    except ChangeoverError as error:
        return error, {}
    hosts = environment.hosts_in("app")
    found: dict[str, list[Finding]] = {host.name: [] for host in hosts}
    for some, who, question in (
        (hosts, role, sign_in.QUESTION),
        (hosts[:1], owner, sign_in.OWNER_QUESTION),
    ):
        answers = sign_in.on_hosts(environment, some, who, question) if who else {}
        for name, finding in answers.items():
            found[name].append(finding)
    return server, found


def _all(
    environment: Environment,
    app: str,
    requires: Requirements,
    database: Server | ChangeoverError | None,
    facts: Mapping[str, HostFacts | ChangeoverError],
    more: Mapping[str, Sequence[Finding]],
    context: ssl.SSLContext,
) -> Iterator[Finding]:
    name, path = environment.public_name(app), certificate_path(app)
    server = database if isinstance(database, Server) else None
    for host in environment.hosts:
        known = facts[host.name]
        if isinstance(known, ChangeoverError):
            yield Finding.of(known, "reachable")
            continue
        yield Finding(
            id="reachable", status="ok", host=host.name, message=f"answers; {known.system}"
        )
        provision = _provision(environment, host.name)
        yield from requirements.findings(host.name, host.groups, known, requires, server, provision)
        if "app" in host.groups:
            yield from certificates.in_file(
                host.name,
                path,
                known.certificates.get(path),
                name,
                needed=requires.minimum.certificate,
            )
        yield from more[host.name]
    yield from database_findings(environment, database)
    yield certificates.served(name, environment.public_address, context)
    yield from requirements.environment_findings(
        requires,
        [host.name for host in environment.hosts_in("lb")],
        [host.name for host in environment.hosts_in("app")],
    )


def _of_interpreter(
    environment: Environment,
    facts: Mapping[str, HostFacts | ChangeoverError],
    needed: Interpreter,
) -> dict[str, list[Finding]]:
    known = {host.name: facts[host.name] for host in environment.hosts_in("app")}
    return {
        name: list(interpreter.findings(name, has, needed, _provision(environment, name)))
        for name, has in known.items()
        if isinstance(has, HostFacts)
    }


def _provision(environment: Environment, host: str) -> str:
    return f"changeover provision --env {environment.name} --limit {host}"


def database_findings(
    environment: Environment, database: Server | ChangeoverError | None
) -> Iterator[Finding]:
    """Yield whether the database could be entered with the owner's password, and what it keeps for an archive."""
    if isinstance(database, ChangeoverError):
        yield Finding.of(database, "database")
    elif database is not None:
        host = environment.hosts_in("db")[0].name
        version = database.version.split()[0]
        yield Finding(
            id="database",
            status="ok",
            host=host,
            message=f"PostgreSQL {version} lets the owner in",
        )
        if database.unarchived:
            yield Finding(
                id="log-archive",
                status="warn",
                host=host,
                message=f"the log does not arrive in its repository: {database.unarchived};"
                " the server keeps it until the disk is full",
                next=f"changeover backup list --env {environment.name} tells more",
            )
