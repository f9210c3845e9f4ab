"""Run the provisioning playbook and follow what it does."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from changeover.errors import Failed, InvalidInput
from changeover.executors.provision.brought import require_certificate
from changeover.executors.provision.command import arguments, process_environment
from changeover.executors.provision.events import Provisioned, Telling
from changeover.secret import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from changeover.executors.provision.events import Event
    from changeover.inventory import Environment, Host

# The longest that a task is silent is a first installation of packages over a slow network.
SILENCE_SECONDS = 1200
ENDING_SECONDS = 10
WORDS_KEPT = 40


class LimitUnknown(InvalidInput):
    """What a run was limited to is no host and no group of the environment."""


class ProvisioningHung(Failed):
    """Ansible has said nothing for longer than any task may take."""


class ProvisioningBroken(Failed):
    """Ansible ended without telling how: the playbook or the inventory cannot be used."""


def provision(
    environment: Environment,
    *,
    limit: Sequence[str] = (),
    check: bool = False,
    report: Callable[[Event], None],
) -> Provisioned:
    """Bring the environment's hosts to their platform state, or tell what that would change.

    Args:
        environment: Whose hosts.
        limit: Only these hosts or groups.
        check: Change nothing; differences are reported as ``provision-diff`` events.
        report: Takes the events: ``provision-play``, ``provision-task``, ``provision-diff``.
            Secrets of the environment's vaults are taken out of them.

    Raises:
        LimitUnknown: A limit is no host and no group.
        CertificateUnusable: The certificate that is brought will not do.
        NotRoot: The administrator may not become root on a host.
        HostsUnreachable: A host does not answer.
        TaskFailed: A task failed on a host.
        ProvisioningHung: Nothing was heard for twenty minutes.
        ProvisioningBroken: Ansible could not begin.
    """
    _check_limit(environment, limit)
    if any(not limit or _names(host) & set(limit) for host in environment.hosts_in("app")):
        require_certificate(environment)
    telling, began = Telling(check=check), time.monotonic()
    for event in _events(environment, arguments(environment, limit=limit, check=check), telling):
        report(event)
    telling.raise_failure(environment.name)
    if not telling.counts:
        raise _broken(environment, telling.words)
    return Provisioned(
        hosts=telling.counts,
        changes=tuple(telling.changes),
        seconds=time.monotonic() - began,
        check=check,
    )


def _events(environment: Environment, command: Sequence[str], telling: Telling) -> Iterator[Event]:
    """Yield what Ansible's lines mean, without secrets; keep the last that mean nothing to us."""
    redact = Redactor(environment.all_secrets())
    for line in _lines(environment, command):
        text = redact(line)
        if text.startswith('{"event"'):
            yield from telling.take(json.loads(text))
        else:
            telling.words.append(text)
            del telling.words[:-WORDS_KEPT]


def _broken(environment: Environment, words: Sequence[str]) -> ProvisioningBroken:
    return ProvisioningBroken(
        "Ansible could not run the provisioning playbook",
        hint=f"ansible-playbook --syntax-check -i {environment.directory}/hosts.yml"
        " playbooks/provision.yml",
        cause="\n".join(words),
    )


def _names(host: Host) -> set[str]:
    """Return what a limit may call a host."""
    return {host.name, *host.groups}


def _check_limit(environment: Environment, limit: Sequence[str]) -> None:
    known = {name for host in environment.hosts for name in _names(host)}
    for name in limit:
        if name not in known:
            raise LimitUnknown(
                f"{environment.name} has no host and no group {name}",
                hint=f"limit to one of: {', '.join(sorted(known))}",
            )


def _lines(environment: Environment, command: Sequence[str]) -> Iterator[str]:
    """Yield what Ansible prints; end it, with all it started, when we are interrupted."""
    process = subprocess.Popen(
        command,
        cwd=environment.root,
        env=process_environment(environment, os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield from _read(environment, process)
        process.wait(ENDING_SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(ENDING_SECONDS)


def _read(environment: Environment, process: subprocess.Popen[bytes]) -> Iterator[str]:
    if process.stdout is None:
        return
    pending = b""
    with process.stdout as stream, selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if not selector.select(SILENCE_SECONDS):
                raise ProvisioningHung(
                    f"Ansible has been silent for {SILENCE_SECONDS} s",
                    hint=f"changeover provision --env {environment.name}   # begins where it ended",
                )
            chunk = os.read(stream.fileno(), 65536)
            if not chunk:
                break
            *complete, pending = (pending + chunk).split(b"\n")
            for line in complete:
                yield line.decode("utf-8", "replace")
    if pending:
        yield pending.decode("utf-8", "replace")
