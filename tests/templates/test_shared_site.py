"""The site of a release in a real Nginx: which clients a share is, and what they keep."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import TYPE_CHECKING

import pytest

from .test_site import site

if TYPE_CHECKING:
    from collections.abc import Iterator

# What provision writes into nginx.conf and a site makes use of.
PLATFORM = """
daemon off; pid {root}/nginx.pid; error_log {root}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
    map $http_x_request_id $changeover_request_id {{ default $request_id; }}
    map "" $changeover_tester {{ default none; }}
    map "" $changeover_balancer {{ default ""; }}
    map "" $changeover_wanted {{ default html; }}
    map "" $changeover_retry_after {{ default ""; }}
    log_format changeover "$status";
    {site}
}}
"""
SWITCHING = 101
LOOKS = 200


class Colour(BaseHTTPRequestHandler):
    """Says which colour it is and what it was asked; a WebSocket is upgraded and ended."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"{self.server.colour} {self.path}".encode()  # type: ignore[attr-defined]
        if self.headers["Upgrade"]:
            self.send_response(SWITCHING)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("X-Colour", body.decode())
            self.end_headers()
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        return


@dataclass(frozen=True)
class Served:
    """A site that a private Nginx serves, with two colours behind it."""

    root: Path
    port: int

    def ask(
        self, path: str = "/api", *, body: str | None = None, **headers: str
    ) -> tuple[str, str | None, str | None]:
        """Return what was answered, the cookie that was set, and the WebSocket's colour."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST" if body else "GET", path, body=body, headers=named)
        answer = connection.getresponse()
        said = "" if answer.status == SWITCHING else answer.read().decode()
        connection.close()
        return said, answer.getheader("Set-Cookie"), answer.getheader("X-Colour")

    def share(self, *buckets: str) -> None:
        """Send these buckets to the new colour, as the agent does: by one rename."""
        directory = self.root / "run/shares" / str(len(buckets))
        directory.mkdir(parents=True)
        for bucket in buckets:
            (directory / bucket).touch()
        self.link("next", "new")
        self.link("canary", f"shares/{len(buckets)}")

    def link(self, name: str, target: str) -> None:
        beside = self.root / "run/.beside"
        beside.symlink_to(target)
        beside.rename(self.root / "run" / name)

    def logged(self, count: int) -> list[str]:
        """Return the lines of the log; Nginx writes one after its client was answered."""
        log = self.root / "nox-api-canary.log"
        for _ in range(LOOKS):
            if len(lines := log.read_text().splitlines()) >= count:
                break
            time.sleep(0.05)
        return [re.sub(r"^\S*/(\w+)/ (\d+) .*", r"\1 \2", line) for line in lines]


@pytest.fixture
def served() -> Iterator[Served]:
    # A socket's path may not be longer than 107 characters.
    with tempfile.TemporaryDirectory(prefix="co-") as name, socket.socket() as free:
        root = Path(name)
        root.chmod(0o755)
        free.bind(("127.0.0.1", 0))
        made = Served(root, free.getsockname()[1])
        free.close()
        servers = [listening(root, colour, kind) for colour in ("old", "new") for kind in KINDS]
        made.link("current", "old")
        text = PLATFORM.format(root=root, site=private(site("8.0.0"), made))
        (root / "nginx.conf").write_text(text)
        command = ["nginx", "-c", str(root / "nginx.conf")]
        subprocess.run([*command, "-t", "-q"], check=True)
        nginx = subprocess.Popen(command)
        try:
            until_up(made, nginx)
            yield made
        finally:
            nginx.terminate()
            nginx.wait()
            for server in servers:
                server.shutdown()
                server.server_close()


KINDS = ("http", "ws")


def listening(root: Path, colour: str, kind: str) -> ThreadingUnixStreamServer:
    directory = root / "run" / colour
    directory.mkdir(parents=True, exist_ok=True)
    server = ThreadingUnixStreamServer(str(directory / f"{kind}.sock"), Colour)
    (directory / f"{kind}.sock").chmod(0o666)
    server.colour = colour if kind == "http" else f"{colour} {kind}"  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def private(text: str, made: Served) -> str:
    """Return the site with its paths below the root; what is for TLS is served without."""
    text = text.replace("/run/nox-api/", f"{made.root}/run/").replace(
        "/var/log/nginx/", f"{made.root}/"
    )
    plain, _, secure = text.rpartition("\nserver {")
    head = plain.partition("\nserver {")[0]
    listen = f"listen 127.0.0.1:{made.port};"
    secure = re.sub(r"include /etc/nginx/changeover/\S+;", listen, secure)
    return f"{head}\nserver {{{secure}"


def until_up(made: Served, nginx: subprocess.Popen[bytes]) -> None:
    while nginx.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", made.port)) == 0:
                return
    pytest.fail((made.root / "error.log").read_text())


def test_a_client_is_where_its_cookie_says_and_gets_one_while_there_is_a_share(
    served: Served,
) -> None:
    assert served.ask(Cookie="nox_api_share=07") == ("old /api", None, None)
    assert served.ask()[1] is None

    served.share("07", "08")

    assert served.ask(Cookie="nox_api_share=07") == ("new /api", None, None)
    assert served.ask(Cookie="nox_api_share=09") == ("old /api", None, None)
    said, cookie, _ = served.ask(User_Agent="one")
    assert cookie is not None
    given = re.match(r"nox_api_share=(\d\d); Path=/; Max-Age=2592000; HttpOnly", cookie)
    assert given
    assert said == ("new /api" if given[1] in {"07", "08"} else "old /api")
    # Without it, or with what is none, it is the same client still.
    assert served.ask(User_Agent="one")[1] == cookie
    assert served.ask(User_Agent="one", Cookie="nox_api_share=7x")[1] == cookie
    assert served.ask(User_Agent="one", Cookie=f"nox_api_share={given[1]}") == (said, None, None)


def test_clients_without_cookies_are_spread_over_the_buckets(served: Served) -> None:
    served.share(*(f"{number:02d}" for number in range(50)))

    said = [served.ask(User_Agent=f"client {number}")[0] for number in range(200)]

    assert 60 < said.count("new /api") < 140


def test_everything_of_a_client_goes_to_its_colour_but_what_asks_for_the_host(
    served: Served,
) -> None:
    for colour in ("old", "new"):
        directory = served.root / "run" / colour / "static/static"
        directory.mkdir(parents=True)
        (directory / "style.css").write_text(colour)
    served.share("07")
    mine = {"Cookie": "nox_api_share=07"}

    assert served.ask("/a%2Fb?q=1&r=%20", body="x", **mine)[0] == "new /a%2Fb?q=1&r=%20"
    upgraded = served.ask("/ws", Upgrade="websocket", Connection="Upgrade", **mine)
    assert upgraded == ("", None, "new ws /ws")
    assert served.ask("/static/style.css", **mine) == ("new", None, None)
    assert served.ask("/static/style.css") == ("old", None, None)
    assert served.ask("/health", **mine)[0] == "old /health"


def test_while_connections_close_each_path_has_the_socket_that_it_always_has(
    served: Served,
) -> None:
    paths = ("/ws", "/wsx", "/api", "/health")
    before = [served.ask(path, body="x")[0] for path in paths]
    (served.root / "run/closing").touch()

    assert [served.ask(path, body="x")[0] for path in paths] == before
    assert before[:2] == ["old ws /ws", "old /wsx"]
    assert served.ask("/ws", Upgrade="websocket", Connection="Upgrade")[2] == "old ws /ws"


def test_a_share_is_over_by_one_rename_and_what_is_on_its_way_is_answered(served: Served) -> None:
    served.share("07")
    late = HTTPConnection("127.0.0.1", served.port, timeout=10)
    late.putrequest("POST", "/late")
    late.putheader("Cookie", "nox_api_share=07")
    late.putheader("Content-Length", "2")
    late.endheaders()
    # Nginx has decided for it by now: another request of the same worker was answered since.
    assert served.ask(Cookie="nox_api_share=07")[0] == "new /api"

    served.link("next", "current")
    (served.root / "run/canary").unlink()
    (served.root / "run/new/http.sock").unlink()
    late.send(b"ok")

    with contextlib.closing(late):
        assert late.getresponse().read() == b"old /late"
    assert served.ask(Cookie="nox_api_share=07") == ("old /api", None, None)


def test_the_log_tells_the_colours_apart_while_there_is_a_share(served: Served) -> None:
    served.ask()
    served.share("07")
    served.ask(Cookie="nox_api_share=07")
    served.ask(Cookie="nox_api_share=09")
    served.ask("/health")
    (served.root / "run/new/http.sock").unlink()
    served.ask(Cookie="nox_api_share=07")

    assert served.logged(3) == ["next 200", "current 200", "next 502"]
