"""Serve notes on a unix socket."""

import json
import os
import signal
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import psycopg

SOCKET = Path(os.environ["SOCKET_DIRECTORY"]) / "http.sock"


class Handler(BaseHTTPRequestHandler):
    """Answers whether it lives, and how many notes there are."""

    def do_GET(self) -> None:
        """Answer one of the two questions."""
        if self.path == "/health":
            self.answer({"status": "ok", "version": os.environ["RELEASE_VERSION"]})
        else:
            with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
                row = connection.execute("SELECT count(*) FROM notes").fetchone()
            self.answer({"notes": row[0] if row else None, "psycopg": psycopg.pq.__impl__})

    def answer(self, content: object) -> None:
        """Send JSON."""
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        """Return a client's name where there is no address."""
        return "unix"


class Server(socketserver.ThreadingUnixStreamServer):
    """Ends with its last answer given."""

    daemon_threads = False


def main() -> None:
    """Serve until SIGTERM."""
    server = Server(str(SOCKET), Handler)
    ending = threading.Thread(target=server.shutdown)
    signal.signal(signal.SIGTERM, lambda *_: ending.start())
    server.serve_forever(0.05)
    server.server_close()
    sys.stdout.write("drained\n")


main()
