"""A colour is asked through an Nginx of its own: the real one, with the site of the template."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.postgres.moments import until
from tests.unit.agent.conftest import APP, write_record
from websockets.sync.server import Server, ServerConnection, unix_serve

from changeover.agent.smoke import private_nginx
from changeover.render import render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.agent.conftest import Machine

SITE = {
    "http": "redirect",
    "socket": "http",
    "websocket": {"path": "/ws", "socket": "ws", "read_timeout": 60},
    "static": {"path": "/static/", "directory": "static", "max_age": 60},
    "health": ["/health"],
    "security_headers": True,
}
NGINX = """\
user root;
worker_processes auto;
pid {root}/nginx.pid;
error_log {root}/var/log/nginx/error.log warn;
events {{ worker_connections 64; }}
http {{
    map $http_x_request_id $changeover_request_id {{ default $request_id; }}
    map $host $changeover_tester {{ default none; }}
    map $host $changeover_balancer {{ default ""; }}
    map $host $changeover_wanted {{ default html; }}
    map $host $changeover_retry_after {{ default ""; }}
    log_format changeover escape=json '{{"colour":"$changeover_request_id"}}';
    access_log {root}/var/log/nginx/access.log;
    include /etc/nginx/sites-enabled/*.conf;
}}
"""
HTTP = "listen 127.0.0.1:18180;\nserver_name shop.test;\n"
HTTPS = """\
listen 127.0.0.1:18143 ssl http2;
server_name shop.test;
ssl_certificate {root}/crt;
ssl_certificate_key {root}/key;
"""
# A unit is a process here: started, noted, and ended by its number.
SYSTEMD_RUN = """#!/bin/sh
echo "systemd-run $*" >>{root}/log
for word in "$@"; do case $word in --unit=*) unit=${{word#--unit=}} ;; esac; done
while [ "$1" != -- ]; do shift; done; shift
"$@" >"{root}/said" 2>&1 &
echo $! >"{root}/units/$unit.pid"
echo active >"{root}/units/$unit"
"""
STOPPING = """#!/bin/sh
for unit in "$@"; do
    if [ "$1" = stop ] && [ -e "{root}/units/$unit.pid" ]; then
        kill "$(cat "{root}/units/$unit.pid")"; rm "{root}/units/$unit.pid"
    fi
done
exec {root}/bin/systemctl.noted "$@"
"""


class App(BaseHTTPRequestHandler):
    """Tells what the proxy said of the client."""

    def do_GET(self) -> None:
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        return


def site(machine: Machine) -> str:
    """Return the site of the template, below the test's directory."""
    text = render(
        "etc/nginx/sites-available/app.conf.j2",
        {"app": {"app": APP}, "release": {"nginx": SITE}},
        root=Path(__file__).parents[4],
    )
    root = machine.root
    return text.replace(f"/run/{APP}/", f"{root}/run/{APP}/").replace(
        "/etc/nginx/", f"{root}/etc/nginx/"
    )


@pytest.fixture
def real(machine: Machine) -> Machine:
    """Return the host with the real Nginx, whose private instance is a process of this test."""
    root = machine.root
    write_record(root, nginx=True)
    (root / "bin/nginx").unlink()
    for name in (f"etc/nginx/changeover/{APP}", "var/log/nginx"):
        (root / name).mkdir(parents=True)
    (root / "bin/systemctl").rename(root / "bin/systemctl.noted")
    for name, text in (("systemd-run", SYSTEMD_RUN), ("systemctl", STOPPING)):
        (root / "bin" / name).write_text(text.format(root=root))
        (root / "bin" / name).chmod(0o755)
    (root / "etc/nginx/nginx.conf").write_text(NGINX.format(root=root))
    listening = root / f"etc/nginx/changeover/{APP}"
    (listening / "listen_http.conf").write_text(HTTP)
    (listening / "listen_https.conf").write_text(HTTPS.format(root=root))
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", root / "key", "-out", root / "crt", "-subj", "/CN=shop.test"),
        ],
        check=True,
        capture_output=True,
    )
    return machine


def talk(connection: ServerConnection) -> None:
    connection.send(json.dumps({"type": "welcome"}))
    for message in connection:
        connection.send(json.dumps({"type": "answer", "to": message}))


@pytest.fixture
def chat() -> Iterator[list[Server]]:
    """Return WebSocket servers that end with the test."""
    servers: list[Server] = []
    yield servers
    for server in servers:
        server.shutdown()


def up(
    machine: Machine, text: str, chat: list[Server] | None = None, version: str = "2.0.0"
) -> str:
    """Place a colour with a site, its files, its app and its WebSocket."""
    colour = machine.place(version, sockets=("http", "ws"), site_text=text)
    machine.listen(colour, "http", handler=App)
    home = machine.root / "run" / APP / colour
    files = home / "static/static"
    files.mkdir(parents=True)
    (files / "page.css").write_text("body { color: red }\n")
    if chat is not None:
        server = unix_serve(talk, str(home / "ws.sock"))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        chat.append(server)
    return colour


WEBSOCKET = {
    "id": "talk",
    "websocket": {
        "path": "/ws",
        "headers": {},
        "subprotocols": [],
        "open_seconds": 60,
        "refused": None,
        "turns": [
            {"send": "hello", "receive": {"json": {"to": "hello"}, "within_seconds": 60}},
        ],
        "close": {"by": "client", "code": 1000, "within_seconds": 60},
    },
}


def asked(machine: Machine, colour: str, *checks: dict[str, Any]) -> dict[str, Any]:
    done = machine.do("smoke", colour=colour, checks=list(checks), host="shop.test")
    return {answer["id"]: answer for answer in done["answers"]} | {"log": done["log"]}


def gone(machine: Machine) -> bool:
    """Tell whether nothing of a private Nginx is left."""
    unit = private_nginx.unit(APP)
    left = [machine.root / "units" / unit, private_nginx.directory(machine.call())]
    return not any(path.exists() for path in left)


def test_a_colour_is_asked_as_users_will_ask_it(real: Machine, chat: list[Server]) -> None:
    live = up(real, site(real), version="1.0.0")
    (real.root / f"run/{APP}/current").symlink_to(live)
    (real.root / f"run/{APP}/closing").touch()
    (real.root / f"run/{APP}/maintenance/on").mkdir(parents=True)
    colour = up(real, site(real), chat)

    answers = asked(
        real,
        colour,
        {"id": "redirect", "scheme": "http", "path": "/a?b=c"},
        {"id": "page", "path": "/a"},
        {"id": "style", "path": "/static/page.css"},
        WEBSOCKET,
    )

    redirect, page, style = (
        dict(answers[name]["headers"]) for name in ("redirect", "page", "style")
    )
    assert answers["redirect"]["status"] == 308
    assert redirect["Location"] == "https://shop.test/a?b=c"
    assert page["X-Frame-Options"] == "DENY"
    seen = json.loads(answers["page"]["body"])
    assert seen["x-forwarded-proto"] == "https"
    assert seen["x-real-ip"].startswith("192.0.2.")
    assert "immutable" in style["Cache-Control"]
    assert "Strict-Transport-Security" in style
    assert answers["talk"]["fault"] is None
    assert gone(real)
    assert "systemctl reload" not in real.noted
    assert (real.root / "var/log/nginx/access.log").read_text() == ""


def test_what_is_wrong_with_a_site_is_seen_before_users_do(
    real: Machine, chat: list[Server]
) -> None:
    text = site(real)
    text = text.replace("http.sock", "htp.sock")
    text = text.replace("proxy_set_header Upgrade $http_upgrade;", "")
    colour = up(real, text, chat)

    answers = asked(
        real, colour, {"id": "page", "path": "/"}, {"id": "style", "path": "/static/no"}, WEBSOCKET
    )

    assert answers["page"]["status"] == 502
    assert "htp.sock failed (2: No such file" in answers["log"]
    assert answers["style"]["status"] == 404
    assert "the upgrade was answered with 4" in answers["talk"]["fault"]
    assert gone(real)


def test_a_site_that_nginx_refuses_is_never_served(real: Machine) -> None:
    colour = up(real, site(real).replace("proxy_read_timeout 60s;", "proxy_read_timeout soon;"))

    failure = real.refuse("smoke", colour=colour, checks=[{"id": "page", "path": "/"}])

    assert failure["error"] == "nginx-invalid"
    assert 'value "soon"' in failure["cause"] or "proxy_read_timeout" in failure["cause"]
    assert gone(real)


def test_what_a_killed_agent_left_is_ended_by_the_next_one(real: Machine) -> None:
    colour = up(real, site(real))
    child = os.fork()
    if child == 0:
        call = real.call()
        release = call.places.release(colour)
        with private_nginx.serving(call, release / "site.conf", colour, 60):
            os._exit(0)
    os.waitpid(child, 0)
    served = int((real.root / "units" / f"{private_nginx.unit(APP)}.pid").read_text())
    assert Path(f"/proc/{served}/cmdline").exists()

    real.do("prune", keep=[colour])

    assert gone(real)


@pytest.fixture
def served(real: Machine) -> Iterator[str]:
    """Return a colour that users see through the real Nginx of the host, behind a balancer."""
    colour = up(real, site(real))
    (real.root / f"run/{APP}/current").symlink_to(colour)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listening = real.root / f"etc/nginx/changeover/{APP}/listen_https.conf"
    text = listening.read_text().replace("18143 ssl", f"{port} ssl proxy_protocol")
    listening.write_text(text)
    enabled = real.root / f"etc/nginx/sites-enabled/{APP}.conf"
    enabled.symlink_to(real.root / f"opt/{APP}/releases/{colour}/site.conf")
    conf = real.root / "etc/nginx/nginx.conf"
    live = real.root / "live.conf"
    live.write_text(conf.read_text().replace("/etc/nginx/sites-", f"{real.root}/etc/nginx/sites-"))
    with subprocess.Popen(["nginx", "-c", live, "-g", "daemon off;"]) as process:
        until((real.root / "nginx.pid").exists)
        yield colour
        process.terminate()


def test_a_colour_that_users_see_is_asked_through_the_live_nginx(
    real: Machine, served: str
) -> None:
    check = {"id": "page", "path": "/", "seconds": 60}

    done = real.do("smoke", colour=served, through="live", checks=[check], host="shop.test")

    (answer,) = done["answers"]
    assert answer["status"] == 200, answer
    assert json.loads(answer["body"])["x-forwarded-proto"] == "https"
    assert "systemd-run" not in real.noted


def test_behind_the_page_of_maintenance_it_is_asked_through_one_of_its_own(
    real: Machine, served: str
) -> None:
    (real.root / f"run/{APP}/maintenance/on").mkdir(parents=True)
    check = {"id": "page", "path": "/"}

    done = real.do("smoke", colour=served, through="live", checks=[check], host="shop.test")

    assert done["answers"][0]["status"] == 200
    assert "systemd-run" in real.noted
