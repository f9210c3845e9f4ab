"""A colour placed with the site of the template, and behind it an app that tells what it was asked."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING

from tests.unit.agent.conftest import APP
from websockets.sync.server import Server, ServerConnection, unix_serve

from changeover.render import render

if TYPE_CHECKING:
    from tests.unit.agent.conftest import Machine

SITE = {
    "http": "redirect",
    "socket": "http",
    "websocket": {"path": "/ws", "socket": "ws", "read_timeout": 60},
    "static": {"path": "/static/", "directory": "static", "max_age": 60},
    "health": ["/health"],
    "security_headers": True,
}


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


def talk(connection: ServerConnection) -> None:
    connection.send(json.dumps({"type": "welcome"}))
    for message in connection:
        connection.send(json.dumps({"type": "answer", "to": message}))


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
