"""An uploaded bundle: copied out of the deploy user's reach first, then believed or refused."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from typing import TYPE_CHECKING

from changeover.agent import lease
from changeover.agent.failure import ActionError
from changeover.agent.places import ALLOWED_SIGNERS, INCOMING
from changeover.agent.system import clock, durable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from changeover.agent.host import Host

NAMESPACE = "changeover-bundle"
PRINCIPAL = "release"
LARGEST_SIGNATURE = 64 * 1024
LARGEST_BUNDLE = 4 * 1024**3
CHUNK = 1 << 20


@contextlib.contextmanager
def verified(host: Host, staging: Path, digest: str) -> Iterator[Path]:
    """Give the path of a root-owned copy of the bundle whose digest and signature are right.

    Raises:
        ActionError: ``bundle-missing``, ``digest-mismatch``, ``signature-refused``, ``disk-full``.
    """
    uploaded = host.root / INCOMING / f"{digest}.bundle"
    signature = uploaded.with_name(uploaded.name + ".sig")
    durable.ensure_directory(staging.parent, 0o700)
    if staging.exists():
        shutil.rmtree(staging)
    staging.mkdir(mode=0o700)
    try:
        copy = staging / "bundle"
        found = _copy(uploaded, copy, LARGEST_BUNDLE)
        if found != digest:
            raise ActionError(
                "digest-mismatch",
                f"the uploaded bundle is not the one that was announced: {found[:12]}… "
                f"instead of {digest[:12]}…",
            )
        _copy(signature, staging / "bundle.sig", LARGEST_SIGNATURE)
        _believe(host, copy, staging / "bundle.sig")
        yield copy
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def forget(host: Host, digest: str) -> None:
    """Remove an upload that has been placed."""
    for suffix in (".bundle", ".bundle.sig"):
        with contextlib.suppress(OSError):
            (host.root / INCOMING / f"{digest}{suffix}").unlink()


def clear(host: Host, app: str) -> list[str]:
    """Remove uploads that nobody is going to place any more, whole or not; return their names.

    They are put here under the lease of an app, and say not of which: all stay while another app
    has one that has not expired.
    """
    now = clock.now()
    others = (lease.read(host.places(other)) for other in host.apps if other != app)
    if any(held and not held.expired(now) for held in others):
        return []
    found = sorted((host.root / INCOMING).glob("*"))
    for path in found:
        with contextlib.suppress(OSError):
            path.unlink()
    return [path.name for path in found]


def _copy(source: Path, target: Path, largest: int) -> str:
    """Copy a plain file and return its digest: links, pipes and devices are not followed."""
    try:
        # Its directory belongs to another user: no link is followed, no pipe is waited for.
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ActionError(
            "bundle-missing", f"{source.name} was not uploaded to this host", cause=str(error)
        ) from error
    with os.fdopen(descriptor, "rb") as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > largest:
            raise ActionError(
                "bundle-missing", f"{source.name} is no plain file of a bundle's size"
            )
        digest = hashlib.sha256()
        with target.open("xb") as copy:
            remaining = largest
            while remaining > 0 and (chunk := stream.read(min(CHUNK, remaining))):
                remaining -= len(chunk)
                digest.update(chunk)
                copy.write(chunk)
    return digest.hexdigest()


def _believe(host: Host, bundle: Path, signature: Path) -> None:
    signers = host.root / ALLOWED_SIGNERS
    if not signers.is_file():
        raise ActionError("signature-refused", "this host knows no signer: provision it first")
    with bundle.open("rb") as content:
        finished = host.programs.run(
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            str(signers),
            "-I",
            PRINCIPAL,
            "-n",
            NAMESPACE,
            "-s",
            str(signature),
            stdin=content,
        )
    if finished.code != 0:
        raise ActionError(
            "signature-refused",
            "the bundle is not signed by a key that this host knows",
            cause=finished.said,
        )
