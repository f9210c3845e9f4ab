"""What is wrong on a host is refused with a clear word, nothing changes, and it can be mended."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import gc
import hashlib
import json
import secrets
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from changeover import inventory, parallel
from changeover.errors import CheckRed
from changeover.executors import lease
from changeover.remote import tunnel
from changeover.remote.failures import AgentFailed
from changeover.remote.fleet import Fleet, action, call

from .certificates import signed
from .live import APP, CHECKOUT, back_to_live

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from changeover.inventory import Environment

    from .live import Event, User

pytestmark = pytest.mark.lab

NEXT = "8.0.0"
TLS = f"/etc/ssl/changeover/{APP}"
INCOMING = "/var/lib/changeover/incoming"


def put(user: User, content: bytes, path: str) -> None:
    """Write a file of the host in place, so that its owner and mode stay."""
    text = base64.b64encode(content).decode()
    user.lab.ssh("host1", f"echo {text} | base64 -d >{path}")


@contextlib.contextmanager
def meanwhile(user: User, breaks: str, mends: str) -> Iterator[None]:
    """Break the host by one command and mend it by another."""
    user.lab.ssh("host1", breaks)
    try:
        yield
    finally:
        user.lab.ssh("host1", mends)


def assert_mended(user: User) -> None:
    """Fail where preflight is still red or users are not served."""
    for words in (("preflight", NEXT), ("smoke",)):
        done = user.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    user.assert_unchanged()


def test_an_expired_certificate(user: User) -> None:
    authority = user.lab.identity.state / "keys" / "ca.pem"
    certificate, key = signed(authority, "nox.lab.test", since_days=-90, until_days=-1)
    yesterday = (dt.datetime.now(dt.UTC) - dt.timedelta(days=1)).date()

    with meanwhile(
        user,
        f"cp -a {TLS} {TLS}.kept",
        f"rm -r {TLS}; mv {TLS}.kept {TLS}; systemctl reload nginx",
    ):
        put(user, certificate, f"{TLS}/fullchain.pem")
        put(user, key, f"{TLS}/privkey.pem")
        user.lab.ssh("host1", "systemctl reload nginx")
        error = user.refused("deploy", NEXT, "--yes", status=6)

    assert f"the certificate {TLS}/fullchain.pem has expired on {yesterday}" in error["message"]
    assert error["host"] == "host1"
    assert "nox.lab.test at" in error["cause"]
    assert "changeover provision" in error["next"]
    assert_mended(user)


def test_a_port_that_another_program_took(user: User) -> None:
    with meanwhile(
        user,
        "systemctl stop nginx; systemd-run --unit=stranger python3 -m http.server 443;"
        " until ss -Htln | grep -q :443; do sleep 0.1; done",
        "systemctl stop stranger; systemctl start nginx",
    ):
        error = user.refused("deploy", NEXT, "--yes", status=6)

    assert error["message"].startswith("port 443 is taken by stranger.service")
    assert error["host"] == "host1"
    assert error["next"].startswith("stop and disable stranger.service on host1")
    assert_mended(user)


def test_a_disk_below_the_minimum(user: User) -> None:
    # the live release goes on from the copy: a real small file system where releases are placed
    with meanwhile(
        user,
        "mkdir /srv/small && mount -t tmpfs -o size=1G small /srv/small"
        " && cp -a /opt/. /srv/small && mount --bind /srv/small /opt",
        "umount /opt; umount /srv/small; rmdir /srv/small",
    ):
        error = user.refused("deploy", NEXT, "--yes", status=6)

    assert error["message"].startswith("disk: ")
    assert error["message"].endswith(
        "GB free under /opt/nox-api/releases, at least 10.0 GB is needed; nothing was changed"
    )
    assert error["host"] == "host1"
    assert error["next"] == "free or add disk on host1, then run this again"
    assert_mended(user)


def place(user: User, content: bytes, signature: bytes, digest: str) -> AgentFailed:
    """Upload as the deploy user, have the agent place it under a lease, return the refusal."""
    environment = inventory.load(str(user.inventory), root=CHECKOUT)
    host = environment.host("host1")
    fleet = Fleet(
        environment=environment,
        app=APP,
        deployment=f"tampered-{secrets.token_hex(4)}",
        owner="tests",
        nonce=secrets.token_hex(16),
        report=lambda _: None,
    )
    uploads = []
    for suffix, sent in (("bundle", content), ("bundle.sig", signature)):
        source = user.root / suffix
        source.write_bytes(sent)
        name, sha256 = f"{digest}.{suffix}", hashlib.sha256(sent).hexdigest()
        uploads.append(parallel.File(source=source, name=name, sha256=sha256))
    answer = parallel.send(environment, [host], uploads, INCOMING, lambda _: None)["host1"]
    assert answer == parallel.Answer(sent_bytes=len(content) + len(signature))
    lease.lock(fleet, [host], "a tampered upload", 60, steal=False)
    try:
        with pytest.raises(AgentFailed) as caught:
            call(fleet, host, [action("place", digest=digest, env={"A": "b"})])
    finally:
        lease.unlock(fleet, [host]).check()
        fleet.close()
        user.lab.ssh("host1", f"rm -f {INCOMING}/*")
    return caught.value


def test_an_upload_that_was_changed(user: User) -> None:
    done = user.run("bundle", "build", NEXT, "--json")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    built = next(entry for entry in told if entry["type"] == "bundle")
    bundle = Path(built["path"])
    whole, signature = bundle.read_bytes(), bundle.with_name(f"{bundle.name}.sig").read_bytes()
    changed = whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:]

    renamed = place(user, changed, signature, hashlib.sha256(whole).hexdigest())
    resigned = place(user, changed, signature, hashlib.sha256(changed).hexdigest())

    assert (renamed.error, renamed.host) == ("digest-mismatch", "host1")
    assert "is not the one that was announced" in renamed.message
    assert (resigned.error, resigned.host) == ("signature-refused", "host1")
    assert "is not signed by a key that this host knows" in resigned.message
    user.assert_unchanged(besides=f"  /var/lib/changeover/{APP}/")


def break_off(environment: Environment) -> None:
    """Leave a session of the database abruptly, as a client does that has seen enough."""
    start_of_a_session = struct.pack("!II", 8, 80877103)
    with (
        tunnel.open_tunnel(environment, environment.host("host1"), 5432) as address,
        socket.create_connection(address) as client,
    ):
        client.sendall(start_of_a_session)
        assert client.recv(1) in b"SN"
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        time.sleep(0.5)
        raise CheckRed("what was found", hint="look")


def test_a_client_that_breaks_off_does_not_hide_what_it_found(user: User) -> None:
    environment = inventory.load(str(user.inventory), root=CHECKOUT)

    with pytest.raises(CheckRed, match="what was found"):
        break_off(environment)
    gc.collect()  # an end left open would be told now


def until(deployment: subprocess.Popen[str], kind: str, step: str) -> Event:
    """Read a deployment's stream up to an event of a step."""
    assert deployment.stdout is not None
    for line in deployment.stdout:
        event: Event = json.loads(line)
        if (event["type"], event.get("step")) == (kind, step):
            return event
    pytest.fail(f"the deployment ended before {step}: {deployment.communicate()}")


def test_a_second_deployment_at_the_same_time(user: User) -> None:
    first = second = user.start("deploy", NEXT, "--yes")
    try:
        until(first, "step-done", "lock")
        second = user.start("deploy", NEXT, "--yes")
        rest, said = first.communicate(timeout=300)
        assert first.returncode == 0, rest + said

        said, words = second.communicate(timeout=60)
        error = json.loads(said.splitlines()[-1])
        assert second.returncode == 5, said + words
        assert (error["error"], error["host"]) == ("LockHeld", "host1")
        assert error["message"].endswith(f"holds the lock: deploy {NEXT}")
        assert f"changeover lock status --env {user.inventory}" in error["next"]
        assert str(error["message"]) in words

        told = [json.loads(line) for line in user.run("status", "--json").stdout.splitlines()]
        state = next(entry for entry in told if entry["type"] == "host")
        versions = [state[which].partition("-")[0] for which in ("live", "confirmed", "previous")]
        assert versions == ["8.0.0", "8.0.0", "7.0.0"]
        assert state["lock"] is None
        assert user.run("smoke").returncode == 0
    finally:
        for each in (first, second):
            each.terminate()
            each.communicate(timeout=60)
        back_to_live(user.lab)
