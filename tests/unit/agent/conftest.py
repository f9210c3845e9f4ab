"""A host in a directory: real files, sockets and signatures; systemd is a note of what was asked."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.agent import bundles

from changeover.agent import dispatch, host, protocol
from changeover.agent.call import Call
from changeover.agent.system.program import SYSTEM_PATH, Programs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from socketserver import BaseRequestHandler

APP = "sample"
NONCE = "nonce-of-a-test"
# Answers for systemd: a unit is active while its name is a file in the directory, and what is
# called deaf there does not stop until it is killed.
SYSTEMCTL = """#!/bin/sh
units={units}
echo "systemctl $*" >>{log}
verb=$1; shift
names=$(for word in "$@"; do case $word in -*) ;; *) echo "$word" ;; esac; done)
case $verb in
start) for unit in $names; do [ -e "$units/$unit" ] || echo active >"$units/$unit"; done ;;
stop) for unit in $names; do
    if [ ! -e "$units/$unit.deaf" ]; then rm -f "$units/$unit"
    elif [ -e "$units/$unit" ]; then echo deactivating >"$units/$unit"; fi
    done ;;
kill) for unit in $names; do rm -f "$units/$unit"; done ;;
is-active) [ ! -e "$units/nginx-is-stopped" ] || exit 3 ;;
reload) [ ! -e "$units/refuse-reload" ] || exit 1; cat {sites}/*.conf >{log}.nginx 2>/dev/null ;;
show) for unit in $names; do
    state=inactive; [ -e "$units/$unit" ] && read state <"$units/$unit"
    printf 'Id=%s\\nActiveState=%s\\nSubState=x\\nResult=success\\nNRestarts=0\\n' "$unit" $state
    printf 'NeedDaemonReload=no\\nExecMainStatus=0\\n\\n'
    done ;;
esac
exit 0
"""
SYSTEMD_RUN = """#!/bin/sh
echo "systemd-run $*" >>{log}
for word in "$@"; do
    case $word in --unit=*) echo active >"{units}/${{word#--unit=}}.timer" ;; esac
done
"""
NOTED = """#!/bin/sh
echo "$(basename $0) $*" >>{log}
"""


class Health(BaseHTTPRequestHandler):
    """Answers every request with 200."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        return


@dataclass
class Machine:
    """One host below a directory, and actions on it as a request would run them."""

    root: Path
    key: Path
    number: int = 0
    servers: list[ThreadingUnixStreamServer] = field(default_factory=list)
    nginx: bool = False

    @property
    def host(self) -> host.Host:
        return host.read("test", self.root, Programs(f"{self.root}/bin:{SYSTEM_PATH}"))

    def call(self, deployment: str = "d1") -> Call:
        present = self.host
        fence = {"number": self.number, "nonce": NONCE}
        return Call(host=present, app=present.app(APP), deployment=deployment, fence=fence)

    @property
    def incoming(self) -> Path:
        return self.root / "var/lib/changeover/incoming"

    def request(
        self,
        *actions: dict[str, Any],
        deployment: str = "d1",
        fence: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Run actions and return the lines that a controller would read; an empty fence is none."""
        stream = io.BytesIO()
        raw = {
            "protocol": 1,
            "agent": "",
            "app": APP,
            "deployment": deployment,
            "fence": {"number": self.number, "nonce": NONCE} if fence is None else fence or None,
            "actions": list(actions),
        }
        parsed = protocol.parse(json.dumps(raw).encode())
        dispatch.run(self.host, parsed, protocol.Replies(stream))
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    def do(self, action: str, deployment: str = "d1", **parameters: object) -> dict[str, Any]:
        last = self.request({"action": action, **parameters}, deployment=deployment)[-1]
        assert last["type"] == "done", last
        return {**last["result"], "skipped": last["skipped"]}

    def refuse(self, action: str, deployment: str = "d1", **parameters: object) -> dict[str, Any]:
        last = self.request({"action": action, **parameters}, deployment=deployment)[-1]
        assert last["type"] == "failed", last
        return last

    def lock(self) -> None:
        answer = self.do("steal", owner="a", reason="b", ttl_seconds=600, nonce=NONCE)
        self.number = answer["number"]

    def place(
        self,
        version: str,
        env: dict[str, str] | None = None,
        **options: Any,  # noqa: ANN401
    ) -> str:
        digest = bundles.make(self.incoming, self.key, APP, version, **options)
        colour: str = self.do("place", digest=digest, env=env or {"A": "b"})["colour"]
        return colour

    def up(self, version: str, **options: Any) -> str:  # noqa: ANN401
        """Place a version, listen on its sockets and start its units."""
        colour = self.place(version, **options)
        self.listen(colour, *options.get("sockets", ("http",)))
        self.do("start", colour=colour, timeout_seconds=5)
        return colour

    def listen(
        self, colour: str, *sockets: str, handler: type[BaseRequestHandler] = Health
    ) -> None:
        directory = self.root / "run" / APP / colour
        directory.mkdir(parents=True, exist_ok=True)
        for name in sockets:
            server = ThreadingUnixStreamServer(str(directory / f"{name}.sock"), handler)
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            self.servers.append(server)

    @property
    def noted(self) -> str:
        log = self.root / "log"
        return log.read_text() if log.exists() else ""

    @property
    def served(self) -> str:
        """What Nginx read when it was last asked to."""
        read = self.root / "log.nginx"
        return read.read_text() if read.exists() else ""

    @property
    def live(self) -> str | None:
        live: str | None = self.do("state")["live"]
        return live


@pytest.fixture(scope="session")
def release_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.keypair(tmp_path_factory.mktemp("keys"), "release")


@pytest.fixture
def machine(release_key: Path) -> Iterator[Machine]:
    """Return a provisioned host whose lease this test holds."""
    # A socket's path may not be longer than 107 characters.
    with tempfile.TemporaryDirectory(prefix="co-") as name:
        root = Path(name)
        made = Machine(root, release_key)
        for directory in (
            "bin",
            "units",
            "etc/changeover",
            "etc/systemd/system",
            "etc/nginx/sites-enabled",
            "var/lib/changeover/incoming",
            f"run/{APP}",
        ):
            (root / directory).mkdir(parents=True)
        write_programs(root)
        write_record(root, nginx=False)
        public = release_key.with_suffix(".pub").read_text()
        signers = root / "etc/changeover/allowed_signers"
        signers.write_text(f'release namespaces="changeover-bundle" {public}')
        made.lock()
        yield made
        for server in made.servers:
            server.shutdown()
            server.server_close()
        shutil.rmtree(root / "opt", ignore_errors=True)


@pytest.fixture
def proxied(machine: Machine) -> Machine:
    """Return the host with an Nginx that takes whatever it is given, for another app, too."""
    write_record(machine.root, nginx=True)
    (machine.root / f"run/{APP}-api").mkdir()
    conf = machine.root / "etc/nginx/nginx.conf"
    conf.write_text("http { include /etc/nginx/sites-enabled/*.conf; }\n")
    return machine


def write_programs(root: Path) -> None:
    scripts = dict.fromkeys(["journalctl", "nginx"], NOTED)
    scripts |= {"systemctl": SYSTEMCTL, "systemd-run": SYSTEMD_RUN}
    places = {
        "units": root / "units",
        "log": root / "log",
        "sites": root / "etc/nginx/sites-enabled",
    }
    for name, text in scripts.items():
        path = root / "bin" / name
        path.write_text(text.format(**places))
        path.chmod(0o755)


def write_record(root: Path, *, nginx: bool) -> None:
    apps = {
        APP: {"user": APP, "group": APP, "database": None},
        f"{APP}-api": {"user": APP, "group": APP, "database": None},
    }
    record = {"environment": "test", "groups": ["app"], "nginx": nginx, "apps": apps}
    (root / "etc/changeover/host.json").write_text(json.dumps(record))
