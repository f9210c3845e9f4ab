"""The host agent on a real host, as the deploy user runs it: switches under load, and what it refuses."""

from __future__ import annotations

import contextlib
import http.client
import json
import runpy
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from changeover import agent_archive

from .conftest import Lab, own_lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.lab

HERE = Path(__file__).resolve().parent
BUNDLES: dict[str, Any] = runpy.run_path(str(HERE.parent / "unit/agent/bundles.py"))
APP = "sample"
NONCE = "nonce-of-the-tests"
SETUP = """
set -e
apt-get update -q >/dev/null
apt-get install -y -q --no-install-recommends nginx python3 >/dev/null 2>&1
rm -f /etc/nginx/sites-enabled/default
id -u deploy >/dev/null 2>&1 || useradd --create-home --shell /bin/bash deploy
id -u sample >/dev/null 2>&1 || useradd --system --user-group sample
usermod -a -G sample www-data
install -d -o deploy -g deploy -m 0700 /home/deploy/.ssh /var/lib/changeover/incoming
install -d /etc/changeover /usr/local/lib/changeover /etc/nginx/changeover/sample /run/sample
echo 'd /run/sample 0755 root root -' >/etc/tmpfiles.d/sample.conf
echo 'deploy ALL=(root) NOPASSWD: /usr/local/lib/changeover/agent ""' >/etc/sudoers.d/changeover
echo 'listen 8080; server_name _;' >/etc/nginx/changeover/sample/listen_http.conf
systemctl restart nginx
"""
HOST_RECORD = {
    "environment": "test",
    "groups": ["app"],
    "nginx": True,
    "apps": {APP: {"user": APP, "group": APP, "database": None}},
}


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
        fence = fence or {"number": self.number, "nonce": NONCE}
        request = {
            "protocol": 1,
            "agent": self.version,
            "app": APP,
            "deployment": deployment,
            "fence": fence if fence["number"] else None,
            "actions": [{"id": action["action"], **action} for action in actions],
        }
        done = self.ssh(
            "deploy", "sudo -n /usr/local/lib/changeover/agent", json.dumps(request).encode()
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines, done.stderr.decode()
        return lines

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
        digest: str = BUNDLES["make"](self.work, signer, APP, version, code=code, **options)
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
        before = self.root("cat /proc/sys/kernel/random/boot_id")
        self.ssh("root", "systemctl reboot")
        self.lab.up("single")
        wait_for(lambda: self.root("cat /proc/sys/kernel/random/boot_id") != before)
        self.root("systemctl is-system-running --wait || true")

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


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Yield a lab of this module alone: it replaces what provision would have put on the host."""
    made = own_lab("agent")
    made.purge()
    made.up("single")
    yield made
    made.purge()


@pytest.fixture(scope="module")
def prepared(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return a host with nginx, the agent and its records, as provision leaves it."""
    (host,) = lab.hosts.values()
    variables = yaml.safe_load((lab.inventory / "group_vars/all/lab.yml").read_text())
    work = tmp_path_factory.mktemp("bundles")
    agent = work / "agent"
    version = agent_archive.build(agent)
    site = Site(lab, host["address"], variables, work, version)
    site.root(SETUP)
    site.root(
        "cat >/home/deploy/.ssh/authorized_keys && chown deploy: /home/deploy/.ssh/authorized_keys",
        variables["changeover_deploy_public_key"].encode(),
    )
    signers = "".join(
        f'release namespaces="changeover-bundle" {key}\n' for key in variables["changeover_signers"]
    )
    site.root("cat >/etc/changeover/allowed_signers", signers.encode())
    site.root("cat >/etc/changeover/host.json", json.dumps(HOST_RECORD).encode())
    site.root("install -m 0755 /dev/stdin /usr/local/lib/changeover/agent", agent.read_bytes())
    return site


@pytest.fixture
def site(prepared: Site) -> Site:
    """Return the host with nothing placed, switched or locked."""
    prepared.root(
        "systemctl stop 'changeover-deadman-*' 'sample-*' 2>/dev/null;"
        "rm -rf /opt/sample /var/lib/changeover/sample /etc/changeover/sample /run/sample/*"
        " /etc/systemd/system/sample-* /etc/systemd/system/multi-user.target.wants/sample-*"
        " /etc/tmpfiles.d/changeover-sample.conf /etc/nginx/sites-enabled/*.conf"
        " /var/lib/changeover/incoming/*;"
        "systemctl daemon-reload; systemctl reset-failed; systemctl reload nginx"
    )
    prepared.number = 0
    prepared.lock()
    return prepared


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
        pauses = [0.01, 0.02, 0.03, 0.05, 0.1, 0.3]
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
    options.setdefault("site_text", BUNDLES["site"](APP, "a", "http"))
    switch = {"action": "switch", "deadman_seconds": 60, "closing_seconds": 0}
    return site.up(version, switch, {"action": "confirm"}, **options)


def test_a_first_deployment_serves(site: Site) -> None:
    colour = first(site)

    status, headers, body = site.get()

    assert status == 200
    assert headers["X-Site"] == "a"
    assert json.loads(body)["version"] == "1.0.0"
    state = site.do("state")
    assert (state["live"], state["confirmed"], state["previous"]) == (colour, colour, None)
    assert state["pending"] is None


def test_twenty_switches_lose_no_post(site: Site) -> None:
    text = BUNDLES["site"](APP, "a", "http")
    old = first(site, site_text=text)
    new = site.up("1.1.0", site_text=text)
    load = Load(site.address)

    with load.running():
        for turn in range(10):
            there, _ = site.all(
                f"turn-{turn}",
                {"action": "switch", "colour": new, "deadman_seconds": 60},
                {"action": "confirm", "colour": new},
            )
            back = site.do("revert", f"turn-{turn}-back")
            assert (there["reloaded"], back["reloaded"]) == (False, False)
            assert (back["from"], back["to"]) == (new, old)

    assert load.failed == []
    assert load.versions == {"1.0.0", "1.1.0"}
    assert load.done > 500
    assert site.live == old


def test_a_switch_that_changes_the_site_loses_no_post(site: Site) -> None:
    old = first(site)
    new = site.up(
        "2.0.0", sockets=("http", "ws"), site_text=BUNDLES["site"](APP, "b", "http", "ws")
    )
    load = Load(site.address)

    with load.running():
        for turn in range(3):
            deployment = f"turn-{turn}"
            answer = site.do("switch", deployment, colour=new, deadman_seconds=60)
            assert answer["reloaded"]
            assert site.get("/ws")[0] == 200
            site.do("confirm", deployment, colour=new)
            assert site.do("revert", f"{deployment}-back", to=old)["reloaded"]
            assert site.get()[1]["X-Site"] == "a"

    assert load.failed == []
    assert load.versions == {"1.0.0", "2.0.0"}


def test_the_deadman_takes_an_unconfirmed_switch_back(site: Site) -> None:
    old = first(site)
    new = site.up(
        "2.0.0", sockets=("http", "ws"), site_text=BUNDLES["site"](APP, "b", "http", "ws")
    )
    site.do("switch", "d2", colour=new, deadman_seconds=3, closing_seconds=0)
    assert site.get()[1]["X-Site"] == "b"

    wait_for(lambda: site.live == old and site.do("state")["pending"] is None)

    assert site.get()[1]["X-Site"] == "a"
    assert json.loads(site.get()[2])["version"] == "1.0.0"
    failure = site.refuse("confirm", "d2", colour=new)
    assert failure["error"] == "deadman-fired"
    records = site.do("journal", lines=10)["records"]
    phases = [record["phase"] for record in records if record["action"] == "deadman"]
    assert phases == ["intent", "done"]


def test_a_confirmed_switch_stays(site: Site) -> None:
    first(site)
    new = site.up("1.1.0")
    site.do("switch", "d2", colour=new, deadman_seconds=3, closing_seconds=0)

    assert site.do("confirm", "d2", colour=new)["confirmed"] == new
    time.sleep(4)

    assert site.live == new
    assert "deadman" not in site.root("systemctl list-units --all --plain 'changeover-*'")
    assert site.do("confirm", "d2", colour=new)["skipped"]


def test_a_reboot_takes_an_unconfirmed_switch_back(site: Site) -> None:
    old = first(site)
    new = site.up(
        "2.0.0", sockets=("http", "ws"), site_text=BUNDLES["site"](APP, "b", "http", "ws")
    )
    site.do("switch", "d2", colour=new, deadman_seconds=600, closing_seconds=0)

    site.reboot()

    wait_for(lambda: site.get()[0] == 200)
    status, headers, body = site.get()
    assert (status, headers["X-Site"]) == (200, "a")
    assert json.loads(body)["version"] == "1.0.0"
    state = site.do("state")
    assert (state["live"], state["confirmed"], state["pending"]) == (old, old, None)
    running = {release["colour"]: release["running"] for release in state["releases"]}
    assert running == {old: True, new: False}
    assert site.refuse("confirm", "d2", colour=new)["error"] == "rebooted"


def test_a_reboot_brings_a_confirmed_colour_back(site: Site) -> None:
    first(site)
    new = site.up(
        "2.0.0", sockets=("http", "ws"), site_text=BUNDLES["site"](APP, "b", "http", "ws")
    )
    site.do("switch", "d2", colour=new, deadman_seconds=600, closing_seconds=0)
    site.do("confirm", "d2", colour=new)

    site.reboot()

    wait_for(lambda: site.get()[0] == 200)
    assert site.get()[1]["X-Site"] == "b"
    assert site.live == new


def test_a_revert_starts_a_colour_that_no_longer_runs(site: Site) -> None:
    old = first(site)
    new = site.up(
        "2.0.0", sockets=("http", "ws"), site_text=BUNDLES["site"](APP, "b", "http", "ws")
    )
    site.do("switch", "d2", colour=new, deadman_seconds=60, closing_seconds=0)
    site.do("confirm", "d2", colour=new)
    assert "drained" in site.do("stop", "d2", colour=old, drain_seconds=5)["log_tail"]

    answer = site.do("revert", "d3", closing_seconds=0)

    assert (answer["from"], answer["to"]) == (new, old)
    assert site.get()[1]["X-Site"] == "a"
    state = site.do("state")
    assert (state["live"], state["confirmed"], state["previous"]) == (old, old, None)
    assert site.do("revert", "d3", closing_seconds=0)["skipped"]
    assert site.do("revert", "d4", of="d2", closing_seconds=0)["skipped"]


def test_a_colour_that_does_not_drain_in_time_is_killed(site: Site) -> None:
    first(site)
    unit = BUNDLES["UNIT"].format(app=APP, version="1.3.0", sockets="http")
    unit = unit.replace("sample_app.py http", "sample_app.py --deaf http")
    colour = site.up("1.3.0", unit_text=unit)

    answer = site.do("stop", colour=colour, drain_seconds=1)

    assert answer["killed"]
    assert answer["stopped_ms"] >= 1000
    running = {entry["colour"]: entry["running"] for entry in site.do("state")["releases"]}
    assert not running[colour]


def test_a_colour_that_cannot_start_says_why_and_is_stopped(site: Site) -> None:
    old = first(site)
    secret = "postgres://app:kept-secret@db/x"
    bad = site.place("1.2.0", env={"CRASH": secret})

    failure = site.refuse("start", colour=bad, timeout_seconds=20)

    assert failure["error"] == "unit-failed"
    assert "cannot start: DATABASE_URL is [CRASH]" in failure["cause"]
    assert "kept-secret" not in json.dumps(failure)
    assert "kept-secret" not in site.root("cat /var/lib/changeover/sample/journal.jsonl")
    releases = {entry["colour"]: entry["running"] for entry in site.do("state")["releases"]}
    assert releases == {old: True, bad: False}


def test_a_socket_that_stays_silent_is_named(site: Site) -> None:
    unit = BUNDLES["UNIT"].format(app=APP, version="1.3.0", sockets="http")
    colour = site.place("1.3.0", sockets=("http", "ws"), unit_text=unit)

    failure = site.refuse("start", colour=colour, timeout_seconds=2)

    assert failure["error"] == "socket-silent"
    assert "ws.sock" in failure["message"]


def test_a_sick_colour_gets_no_users(site: Site) -> None:
    old = first(site)
    sick = site.place("1.2.0", env={"SICK": "no database"})
    site.do("start", colour=sick, timeout_seconds=20)

    failure = site.refuse("switch", "d2", colour=sick, deadman_seconds=60)

    assert failure["error"] == "unhealthy"
    assert "503" in failure["cause"]
    assert site.live == old


def test_an_invalid_site_changes_nothing(site: Site) -> None:
    old = first(site)
    text = BUNDLES["site"](APP, "b", "http").replace("proxy_pass", "proxy_passt", 1)
    new = site.up("2.0.0", site_text=text)

    failure = site.refuse("switch", "d2", colour=new, deadman_seconds=60)

    assert failure["error"] == "nginx-invalid"
    assert "proxy_passt" in failure["cause"]
    assert (site.live, site.get()[1]["X-Site"]) == (old, "a")
    assert site.do("state")["pending"] is None
    assert site.root("nginx -t -q; ls /etc/nginx /etc/nginx/sites-enabled -A").count("change") == 1


def test_a_site_that_nginx_cannot_serve_is_taken_back(site: Site) -> None:
    old = first(site)
    site.root("systemctl is-active ssh")
    text = BUNDLES["site"](APP, "b", "http").replace("server {", "server {\n    listen 22;", 1)
    new = site.up("2.0.0", site_text=text)

    failure = site.refuse("switch", "d2", colour=new, deadman_seconds=60, closing_seconds=0)

    assert failure["error"] in {"nginx-invalid", "nginx-failed"}
    assert "Address already in use" in failure["cause"]
    assert (site.live, site.get()[0], site.get()[1]["X-Site"]) == (old, 200, "a")
    assert site.do("state")["pending"] is None


def test_a_tampered_bundle_is_refused(site: Site) -> None:
    digest = site.bundle("1.0.0")
    path = f"/var/lib/changeover/incoming/{digest}.bundle"
    assert site.ssh("deploy", f"printf x >>{path}").returncode == 0

    assert site.refuse("place", digest=digest, env={})["error"] == "digest-mismatch"
    assert site.root("ls -A /opt/sample/releases 2>/dev/null || true") == ""


def test_another_signer_is_refused(site: Site) -> None:
    stranger = BUNDLES["keypair"](site.work, f"stranger-{time.monotonic_ns()}")
    digest = site.bundle("1.0.0", key=stranger)

    assert site.refuse("place", digest=digest, env={})["error"] == "signature-refused"
    assert site.root("ls -A /opt/sample/releases 2>/dev/null || true") == ""


def test_a_unit_of_another_user_is_refused(site: Site) -> None:
    unit = BUNDLES["UNIT"].format(app=APP, version="1.0.0", sockets="http")
    digest = site.bundle("1.0.0", unit_text=unit.replace("User=sample", "User=root"))

    failure = site.refuse("place", digest=digest, env={"SECRET": "value-of-a-secret"})

    assert failure["error"] == "unit-refused"
    assert site.root("ls -A /opt/sample/releases /etc/changeover/sample") == (
        "/etc/changeover/sample:\n\n/opt/sample/releases:"
    )


def test_an_overtaken_controller_is_refused(site: Site) -> None:
    colour = first(site)
    overtaken = {"number": site.number, "nonce": NONCE}
    site.ask(
        {"action": "steal", "owner": "b", "reason": "b", "ttl_seconds": 9, "nonce": "b" * 9},
        deployment="d2",
    )

    for action in (
        {"action": "stop", "colour": colour},
        {"action": "revert"},
        {"action": "renew", "ttl_seconds": 9},
        {"action": "unlock"},
    ):
        failure = site.ask(action, fence=overtaken)[-1]
        assert (failure["type"], failure["error"]) == ("failed", "fenced"), failure
    assert site.live == colour


def test_an_action_outlives_its_ssh_session(site: Site) -> None:
    first(site)
    new = site.up(
        "2.0.0", sockets=("http", "ws"), site_text=BUNDLES["site"](APP, "b", "http", "ws")
    )
    request = {
        "protocol": 1,
        "agent": "",
        "app": APP,
        "deployment": "d2",
        "fence": {"number": site.number, "nonce": NONCE},
        "actions": [
            {"id": "switch", "action": "switch", "colour": new, "closing_seconds": 3},
            {"id": "confirm", "action": "confirm", "colour": new},
        ],
    }
    agent = "sudo -n /usr/local/lib/changeover/agent"
    command = f"sh -c 'echo $PPID $$; exec {agent}'"

    site.cut(command, json.dumps(request).encode())

    wait_for(lambda: site.live == new and site.get()[1]["X-Site"] == "b")
    state = site.do("state")
    assert state["pending"]["deployment"] == "d2", "the next action must not be begun"
    assert "closing" not in site.root("ls /run/sample")
    site.do("confirm", "d2", colour=new)


ODD_VALUES = {
    "NEWLINE": "one\ntwo\n",
    "QUOTES": "a 'single' and a \"double\"",
    "DOLLAR": "$HOME ${HOME} $$ %i %%",
    "BACKSLASH": "\\ \\n \\\\ C:\\dir\\",
    "COMMENT": "# no comment; none",
    "SPACES": "  leading and trailing  ",
    "TAB": "a\tb",
    "UNICODE": "Grüße 🚀 \u2028 日本",
    "BACKTICK": "`id`",
    "EMPTY": "",
    "JSON": '{"a": ["b\\"c", null]}',
    "ENDS": "ends with a backslash\\",
}


def test_systemd_reads_every_value_back(site: Site) -> None:
    colour = site.place("1.0.0", env=ODD_VALUES)
    script = "import json,os;print(json.dumps(dict(os.environ)))"

    said = site.root(
        f"systemd-run --quiet --pipe --wait -p EnvironmentFile=/etc/changeover/sample/{colour}.env"
        f" python3 -c '{script}'"
    )

    found = json.loads(said)
    assert {name: found.get(name) for name in ODD_VALUES} == ODD_VALUES
    assert site.root(f"stat -c '%a %U' /etc/changeover/sample/{colour}.env") == "600 root"


@pytest.mark.parametrize("limit", ["size=20m", "size=100m,nr_inodes=4"])
def test_a_full_disk_keeps_nothing(site: Site, limit: str) -> None:
    releases = "/opt/sample/releases"
    site.root(f"mkdir -p {releases}; mount -t tmpfs -o {limit} none {releases}")
    try:
        failure = site.refuse("place", digest=site.bundle("1.0.0"), env={"A": "b"})
        kept = site.root(f"ls -A {releases} /etc/changeover/sample 2>/dev/null || true")
    finally:
        site.root(f"umount {releases}")

    assert failure["error"] == "disk-full"
    assert failure["free_bytes"] > 0
    assert failure["needed_bytes"] > 0
    assert "1.0.0" not in kept
    assert "sample" not in site.root("ls /etc/systemd/system")


def test_the_deploy_user_may_run_nothing_else_as_root(site: Site) -> None:
    for command in ("id", "/usr/local/lib/changeover/agent deadman /tmp/x", "sh -c id"):
        done = site.ssh("deploy", f"sudo -n {command}")
        assert done.returncode != 0
        assert b"uid=0" not in done.stdout


def test_retired_colours_leave_nothing(site: Site) -> None:
    old = first(site)
    new = site.up("1.1.0")
    site.do("switch", "d2", colour=new, deadman_seconds=60, closing_seconds=0)
    site.do("confirm", "d2", colour=new)

    assert site.refuse("retire", colour=new, force=True)["error"] == "colour-live"
    assert site.refuse("retire", colour=old)["error"] == "colour-awaited"
    site.do("stop", colour=old, drain_seconds=5)
    site.do("retire", colour=old, force=True)

    found = site.root(f"find /opt /etc /run /var/lib/changeover -name '*{old}*'")
    assert found == ""
    assert site.refuse("revert", "d3")["error"] == "nothing-before"
