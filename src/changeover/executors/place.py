"""Bring a bundle and its signature to the hosts; the agent alone unpacks it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from changeover import parallel
from changeover.errors import ChangeoverError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from changeover.bundle import Bundle
    from changeover.inventory import Environment, Host

INCOMING = "/var/lib/changeover/incoming"


def upload(
    environment: Environment,
    hosts: Sequence[Host],
    bundle: Bundle,
    report: Callable[[dict[str, Any]], None],
) -> int:
    """Put the bundle into ``incoming`` of every host, all hosts at once; return the bytes sent.

    A host that has it already is asked for two hashes and sent nothing. The agent checks signature
    and digest again before it unpacks anything.

    Args:
        environment: Whose hosts they are.
        hosts: Those that run the app.
        bundle: What was built and signed.
        report: Called with ``{"type": "upload", "host", "file", "sent_bytes"}`` a file.

    Raises:
        HostUnreachable, HostKeyChanged, SignInRefused: From the first host that failed so; the
            cause names the others.
        UploadFailed: A file did not arrive whole; nothing of it is left on the host.
    """
    answers = parallel.send(environment, hosts, _files(bundle), INCOMING, report)
    failed = [answer for answer in answers.values() if isinstance(answer, ChangeoverError)]
    if failed:
        first, *others = failed
        first.cause = "\n".join(
            [first.cause or "", *(f"{error.host}: {error.message}" for error in others)]
        ).strip()
        raise first
    return sum(
        answer.sent_bytes for answer in answers.values() if isinstance(answer, parallel.Answer)
    )


def _files(bundle: Bundle) -> tuple[parallel.File, parallel.File]:
    name = f"{bundle.digest}.bundle"
    with bundle.signature.open("rb") as file:
        signature = hashlib.file_digest(file, "sha256").hexdigest()
    return (
        parallel.File(source=bundle.path, name=name, sha256=bundle.digest),
        parallel.File(source=bundle.signature, name=f"{name}.sig", sha256=signature),
    )
