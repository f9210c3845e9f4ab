"""Nginx itself before an app in a directory: the role's settings and the template's site, on loopback."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
from tests.unit.agent.conftest import APP

from changeover.render import render

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[3]
ROLE = CHECKOUT / "roles/nginx/templates/etc/nginx"
USER, BALANCER, OFFICE = "127.0.0.2", "127.0.0.3", "127.0.0.4"
SITE = {
    "http": "serve",
    "socket": "http",
    "websocket": None,
    "static": None,
    "health": ["/health"],
    "security_headers": True,
    "maintenance": None,
}


def site_text(websocket: str = "") -> str:
    """Return the site of a release, as a bundle has it; with the socket of its WebSockets, if it has them."""
    said = {"path": "/ws", "socket": websocket, "read_timeout": 60} if websocket else None
    return render(
        "etc/nginx/sites-available/app.conf.j2",
        {"app": {"app": APP}, "release": {"nginx": SITE | {"websocket": said}}},
        root=CHECKOUT,
    )


def page() -> str:
    """Return the host's own page, as the role writes it."""
    text = (ROLE / "maintenance.html.j2").read_text()
    return text.replace("{{ ansible_managed }}", "managed")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Web:
    """An Nginx that runs, and clients of it."""

    port: int
    log: Path

    def ask(
        self, path: str = "/", method: str = "GET", source: str = USER, **headers: str
    ) -> Answer:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=20, source_address=(source, 0)
        )
        with contextlib.closing(connection):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read().decode())


@contextlib.contextmanager
def serving(root: Path) -> Iterator[Web]:
    """Serve what a machine's sites directory holds, with its paths below its root."""
    plain, secure, other = (_free() for _ in range(3))
    below = root / "web"
    below.mkdir()
    (root / "var/log/nginx").mkdir(parents=True)
    for name, port in (("listen_http", plain), ("listen_https", secure)):
        (below / f"{name}.conf").write_text(f"listen 127.0.0.1:{port}; server_name _;\n")
    text = (root / f"etc/nginx/sites-enabled/{APP}.conf").read_text()
    text = text.replace(f"/etc/nginx/changeover/{APP}", str(below))
    text = text.replace("/var/log/nginx", f"{root}/var/log/nginx")
    (below / "site.conf").write_text(text.replace(f"/run/{APP}", f"{root}/run/{APP}"))
    conf = below / "nginx.conf"
    conf.write_text(_settings(root, below, other))
    running = subprocess.Popen(["/usr/sbin/nginx", "-c", conf, "-g", "daemon off;"])
    try:
        while running.poll() is None and not _listens(secure):
            time.sleep(0.01)
        yield Web(secure, root / "var/log/nginx/access.log")
    finally:
        running.terminate()
        running.wait()


def _settings(root: Path, below: Path, port: int) -> str:
    engine = jinja2.Environment(autoescape=False, trim_blocks=True)  # noqa: S701 - no HTML
    engine.filters |= {"regex_escape": re.escape, "flatten": list}
    text = engine.from_string((ROLE / "nginx.conf.j2").read_text()).render(
        ansible_managed="managed",
        nginx_worker_connections=64,
        nginx_keepalive_timeout="15s",
        nginx_balancers=[BALANCER],
        nginx_ipv6=False,
        nginx_sites={},
        nginx_http2=False,
        __nginx_listen_options="",
    )
    for written, here in (
        ("user www-data;", "user root;"),
        ("pid /run/nginx.pid", f"pid {below}/nginx.pid"),
        ("/var/log", f"{root}/var/log"),
        ("listen 80 ", f"listen 127.0.0.1:{port} "),
        ("/etc/nginx/sites-enabled/*.conf", f"{below}/site.conf"),
    ):
        assert written in text
        text = text.replace(written, here)
    return text


def _free() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
