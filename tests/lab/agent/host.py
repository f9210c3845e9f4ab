"""One host with the agent, spoken to over SSH as the deploy user, and a load of POSTs on it."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.unit.agent import bundles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.lab.conftest import Lab

HERE = Path(__file__).resolve().parent
APP = "sample"
NONCE = "nonce-of-the-tests"
AGENT = "sudo -n /usr/local/lib/changeover/agent"
BOOT = "cat /proc/sys/kernel/random/boot_id"
REBOOT_SECONDS = 120


@dataclass
class Site:
    """One host with the agent, spoken to over SSH as the deploy user."""

    lab: Lab
    address: str
    variables: dict[str, Any]
    work: Path
    version: str
    number: int = 0
    digests: dict[str, str] = field(default_factory=dict)

    def ssh(
        self, user: str, command: str, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        words = self._words(user, command)
        return subprocess.run(words, input=stdin, capture_output=True, timeout=120, check=False)

    def open(self, user: str, command: str) -> subprocess.Popen[bytes]:
        words = self._words(user, command)
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _words(self, user: str, command: str) -> list[str]:
        key = Path(self.variables["changeover_deploy_key"])
        key = key.with_name("admin") if user == "root" else key
        known = f"UserKnownHostsFile={self.variables['changeover_known_hosts']}"
        options = ["-o", known, "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=5"]
        return ["ssh", *options, "-i", str(key), f"{user}@{self.address}", command]

    def root(self, command: str, stdin: bytes = b"") -> str:
        done = self.ssh("root", command, stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def ask(
        self, *actions: dict[str, Any], fence: dict[str, Any] | None = None, deployment: str = "d1"
    ) -> list[dict[str, Any]]:
        """Run actions and return the agent's lines."""
        done = self.ssh("deploy", AGENT, self._request(actions, deployment, fence))
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines, done.stderr.decode()
        return lines

    def begin(self, *actions: dict[str, Any], deployment: str = "d1") -> subprocess.Popen[bytes]:
        """Send actions and do not wait for them: the agent's lines are the session's output."""
        session = self.open("deploy", AGENT)
        assert session.stdin
        session.stdin.write(self._request(actions, deployment, None))
        session.stdin.close()
        return session

    def _request(
        self, actions: Sequence[dict[str, Any]], deployment: str, fence: dict[str, Any] | None
    ) -> bytes:
        fence = fence or {"number": self.number, "nonce": NONCE}
        request = {
            "protocol": 1,
            "agent": self.version,
            "app": APP,
            "deployment": deployment,
            "fence": fence if fence["number"] else None,
            "actions": [{"id": action["action"], **action} for action in actions],
        }
        return json.dumps(request).encode()

    def listed(self, directory: str) -> list[str]:
        """Return what is in a directory, which has to be there."""
        return self.root(f"ls -A {directory}").split()

    def kill_holder(self, lock: str) -> None:
        """Kill the process that holds a file's lock, as the kernel lists it."""
        self.root(
            f"inode=$(stat -c %i {lock});"
            ' holder=$(awk -v end=":$inode" \'$6 ~ end "$" {print $5}\' /proc/locks);'
            ' test -n "$holder" && kill -9 $holder'
        )

    def do(self, action: str, deployment: str = "d1", **parameters: object) -> dict[str, Any]:
        """Run one action that has to be done and return its result."""
        last = self.ask({"action": action, **parameters}, deployment=deployment)[-1]
        assert last["type"] == "done", last
        return {**last["result"], "skipped": last["skipped"]}

    def all(self, deployment: str, *actions: dict[str, Any]) -> list[dict[str, Any]]:
        """Run actions in one request that all have to be done; return their results."""
        lines = self.ask(*actions, deployment=deployment)
        assert lines[-1]["type"] == "done", lines[-1]
        return [line["result"] for line in lines if line["type"] == "done"]

    def refuse(self, action: str, deployment: str = "d1", **parameters: object) -> dict[str, Any]:
        """Run one action that has to fail and return the failure."""
        last = self.ask({"action": action, **parameters}, deployment=deployment)[-1]
        assert last["type"] == "failed", last
        return last

    def lock(self) -> None:
        answer = self.do("steal", owner="test", reason="tests", ttl_seconds=600, nonce=NONCE)
        self.number = answer["number"]

    def upload(self, digest: str) -> None:
        names = [f"{digest}.bundle", f"{digest}.bundle.sig"]
        packed = subprocess.run(
            ["tar", "-c", "-C", str(self.work), *names], capture_output=True, check=True
        ).stdout
        assert self.ssh("deploy", "tar -x -C /var/lib/changeover/incoming", packed).returncode == 0

    def bundle(self, version: str, key: Path | None = None, **options: Any) -> str:  # noqa: ANN401
        signer = key or Path(self.variables["changeover_signing_key"])
        code = {"sample_app.py": (HERE / "sample/sample_app.py").read_bytes()}
        digest: str = bundles.make(self.work, signer, APP, version, code=code, **options)
        self.digests[version] = digest
        self.upload(digest)
        return digest

    def place(self, version: str, env: dict[str, str] | None = None, **options: Any) -> str:  # noqa: ANN401
        """Bundle, upload and place a version; return its colour."""
        digest = self.bundle(version, **options)
        colour: str = self.do("place", digest=digest, env=env or {"GREETING": "hello"})["colour"]
        return colour

    def up(self, version: str, *more: dict[str, Any], **options: Any) -> str:  # noqa: ANN401
        """Place a version, start it, and do what else is asked in one request; return its colour."""
        digest = self.bundle(version, **options)
        colour = f"{version}-{digest[:8]}"
        self.all(
            "d1",
            {"action": "place", "digest": digest, "env": {"GREETING": "hello"}},
            {"action": "start", "colour": colour, "timeout_seconds": 30},
            {"action": "health", "colour": colour, "timeout_seconds": 10},
            *({**action, "colour": colour} for action in more),
        )
        return colour

    def reboot(self) -> None:
        """Reboot the host and wait until it has started all that it starts.

        Its container ends some seconds after the host was asked to go down, and boots again when
        the lab is brought up after that.
        """
        before = self.root(BOOT)
        self.ssh("root", "systemctl reboot")

        def rebooted() -> bool:
            self.lab.up("single")
            return self.root(BOOT) != before

        wait_for(rebooted, REBOOT_SECONDS)

    def cut(self, command: str, stdin: bytes) -> None:
        """Run a command over SSH and kill its session on the host as soon as it answers."""
        with self.open("deploy", command) as session:
            assert session.stdin
            assert session.stdout
            processes = session.stdout.readline().decode()
            session.stdin.write(stdin)
            session.stdin.close()
            for line in session.stdout:
                if b'"intent"' in line:
                    break
            self.root(f"kill -9 {processes}")
            session.kill()

    @property
    def live(self) -> str | None:
        live: str | None = self.do("state")["live"]
        return live

    def get(self, path: str = "/") -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.address, 8080, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, dict(response.headers), response.read()


def wait_for(true: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, AssertionError, http.client.HTTPException):
            if true():
                return
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.2)


@dataclass
class Load:
    """POSTs on keep-alive connections without retries, from several clients at once."""

    address: str
    clients: int = 6
    done: int = 0
    failed: list[str] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)

    def _client(self, pause: float) -> None:
        connection = http.client.HTTPConnection(self.address, 8080, timeout=10)
        while not self._stop.is_set():
            try:
                connection.request("POST", "/rows", body=b"x" * 200)
                response = connection.getresponse()
                content = response.read()
                if response.status == 201:
                    self.versions.add(json.loads(content)["version"])
                    self.done += 1
                else:
                    self.failed.append(f"{response.status} {content[:80]!r}")
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(f"{type(error).__name__}: {error}")
                connection.close()
            time.sleep(pause)
        connection.close()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        pauses = [0.02, 0.03, 0.05, 0.1, 0.3, 2.5]
        threads = [
            threading.Thread(target=self._client, args=(pauses[index % len(pauses)],))
            for index in range(self.clients)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()


def first(site: Site, version: str = "1.0.0", **options: Any) -> str:  # noqa: ANN401
    """Bring a first colour live and confirmed."""
    options.setdefault("site_text", bundles.site(APP, "a", "http"))
    switch = {"action": "switch", "deadman_seconds": 60, "closing_seconds": 0}
    return site.up(version, switch, {"action": "confirm"}, **options)
