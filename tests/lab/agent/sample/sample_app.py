"""A small app for the agent's tests: answers on unix sockets, counts POSTs, drains on SIGTERM."""

import json
import os
import signal
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

DIRECTORY = Path(os.environ["SOCKET_DIRECTORY"])
VERSION = os.environ["RELEASE_VERSION"]


class Handler(BaseHTTPRequestHandler):
    """Answers everything with the version, and health as the environment says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a health question or any other."""
        if self.path == "/hang":
            # Until the client gives up.
            self.rfile.read(1)
        elif self.path == "/health" and os.environ.get("SICK"):
            self.answer(503, {"status": "sick", "why": os.environ["SICK"]})
        else:
            self.answer(200, {"status": "ok", "version": VERSION})

    def do_POST(self) -> None:
        """Read the body and acknowledge it."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(201, {"version": VERSION, "got": len(body)})

    def answer(self, status: int, content: object) -> None:
        """Send JSON."""
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        """Return a client's name where there is no address."""
        return "unix"

    def log_message(self, *_: object) -> None:
        """Keep quiet: the tests read the log for failures."""


class Server(socketserver.ThreadingUnixStreamServer):
    """A server on a unix socket with room for a burst."""

    request_queue_size = 512
    daemon_threads = False


def main() -> None:
    """Serve every socket until SIGTERM."""
    if os.environ.get("CRASH"):
        sys.exit(f"cannot start: DATABASE_URL is {os.environ['CRASH']}")
    servers = []
    os.umask(0o007)
    deaf = "--deaf" in sys.argv
    for name in sys.argv[1 + deaf :]:
        path = DIRECTORY / f"{name}.sock"
        path.unlink(missing_ok=True)
        servers.append(Server(str(path), Handler))

    def stop(*_: object) -> None:
        for server in servers:
            threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, signal.SIG_IGN if deaf else stop)
    threads = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write("drained\n")


main()
