"""A certificate that is brought: installed on a host, changed without a loss, no app touched."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import yaml
from cryptography import x509

from .certificates import signed
from .live import back_to_live

if TYPE_CHECKING:
    from pathlib import Path

    from .live import Event, User

pytestmark = pytest.mark.lab

HOST = "host1"
PROCESSES = "systemctl show 'nox-api-*' --property=Id,ActiveState,InvocationID"


@dataclass
class Client:
    """Asks over one kept connection after the other, as browsers do, until it is told to end."""

    address: str
    name: str
    authority: Path
    answers: list[int] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                self._connection()
            except OSError as error:
                self.losses.append(repr(error))

    def _connection(self) -> None:
        trusted = ssl.create_default_context(cafile=str(self.authority))
        with (
            socket.create_connection((self.address, 443), timeout=10) as raw,
            trusted.wrap_socket(raw, server_hostname=self.name) as secure,
        ):
            while not self.ended.wait(3):
                secure.sendall(
                    f"POST /health HTTP/1.1\r\nHost: {self.name}\r\nContent-Length: 0\r\n\r\n".encode()
                )
                answer = b""
                while b"\r\n\r\n" not in answer:
                    got = secure.recv(65536)
                    if not got:
                        raise ConnectionResetError("closed without an answer")
                    answer += got
                self.answers.append(int(answer.split()[1]))
                if b"connection: close" in answer.lower():
                    return

    def serial(self) -> int:
        """Return the number of the certificate that is served now."""
        trusted = ssl.create_default_context(cafile=str(self.authority))
        with (
            socket.create_connection((self.address, 443), timeout=10) as raw,
            trusted.wrap_socket(raw, server_hostname=self.name) as secure,
        ):
            served = secure.getpeercert(binary_form=True)
        assert served is not None
        return x509.load_der_x509_certificate(served).serial_number


def bring(user: User, name: str) -> int:
    """Put a new pair beside the inventory's copy and tell its number."""
    state = user.lab.identity.state
    chain, key = signed(state / "keys" / "ca.pem", name, since_days=-1, until_days=60)
    (user.inventory / "chain.pem").write_bytes(chain)
    (user.inventory / "key.pem").write_bytes(key)

    def files(document: Event) -> None:
        document["changeover_tls"] = {
            "mode": "files",
            "certificate": str(user.inventory / "chain.pem"),
            "key": str(user.inventory / "key.pem"),
            "ca_certificate": str(state / "keys" / "ca.pem"),
        }

    user.edit("group_vars/all/lab.yml", files)
    return x509.load_pem_x509_certificate(chain).serial_number


def test_a_certificate_for_another_name_is_refused_before_the_host_is_asked(user: User) -> None:
    bring(user, "shop.lab.test")

    user.link_what_provisions()

    error = user.refused("provision", status=2)

    assert error["message"] == (
        f"{user.inventory}/chain.pem is not for nox.lab.test; it is for shop.lab.test"
    )
    assert str(user.inventory / "group_vars/all/lab.yml") in error["next"]


def provision(user: User) -> list[str]:
    """Provision as the user's copies say and return the tasks that changed the host."""
    user.link_what_provisions()
    done = user.run("provision", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return [event["task"] for event in events if event.get("status") == "changed"]


def test_a_changed_certificate_is_served_without_a_loss_and_no_app_is_touched(user: User) -> None:
    variables = yaml.safe_load((user.inventory / "group_vars/all/lab.yml").read_text())
    authority = user.lab.identity.state / "keys" / "ca.pem"
    client = Client(variables["changeover_public_address"], "nox.lab.test", authority)
    processes = user.lab.ssh(HOST, PROCESSES)
    number = bring(user, "nox.lab.test")
    threads = [threading.Thread(target=client.run) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        first, second = provision(user), provision(user)
    finally:
        client.ended.set()
        for thread in threads:
            thread.join()

    assert client.losses == []
    assert len(client.answers) > len(threads)
    assert client.serial() == number
    assert user.lab.ssh(HOST, PROCESSES) == processes
    assert first == [
        "tls : Install the certificate that was brought and its key",
        "tls : Load the certificates",
        "platform : Write the manifest of the platform",
    ]
    assert second == []
    back_to_live(user.lab)
