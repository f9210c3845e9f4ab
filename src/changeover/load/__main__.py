"""Send writes at a set rate, never twice, and record each: what proves that nothing was lost.

    python -m changeover.load --address 10.0.0.10 --name shop.example.org --ca ca.pem --rate 50 --seconds 60 --records load.jsonl

Every request is a POST with a request id of its own over a kept-alive TLS connection. A request that
fails is not sent again: it is a failure. Requests leave on time whether or not earlier ones are
answered, and their time counts from when they were due, so a stall shows in full. Beside them, any
number of WebSockets are held open, and clients may be idle for seconds between two requests. SIGTERM ends it early; the summary is one JSON line on stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import ssl
import sys
from pathlib import Path
from typing import IO

from changeover.load.client import OK, Load
from changeover.load.connection import Connection, Target

SIGN_IN = '{"provider": "google", "login_hint": "load@load.test"}'


async def sign_in(target: Target, path: str, body: str, field_name: str) -> str:
    """Sign in once, before the load, and return the token of the answer."""
    connection = Connection(target=target)
    headers = {"Content-Type": "application/json", "Connection": "close"}
    answer = await connection.post(path, headers, body.encode())
    if answer.status not in OK:
        sys.exit(f"signing in at {path} was answered with {answer.status}")
    return str(json.loads(answer.body)[field_name])


def arguments() -> argparse.ArgumentParser:
    """Return the command line; what it sends unless told is what the demo's app takes."""
    parser = argparse.ArgumentParser(
        prog="python -m changeover.load", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--address", required=True, help="where to connect to")
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--name", required=True, help="the public name")
    parser.add_argument("--ca", help="the authority to trust, PEM; the machine's own if none")
    parser.add_argument(
        "--rate", type=float, default=50.0, help="requests a second; 0 for WebSockets alone"
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--count", type=int, help="stop after so many requests")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for one answer")
    parser.add_argument("--records", type=Path, required=True, help="a JSON line a request")
    parser.add_argument("--path", default="/api/auth/logout")
    parser.add_argument("--body", default="{}", help="{id} is replaced by the request id")
    parser.add_argument("--sign-in", default="/api/auth/login", help="empty for none")
    parser.add_argument("--sign-in-body", default=SIGN_IN, help="- for the first line of stdin")
    parser.add_argument("--token-field", default="token")
    parser.add_argument("--token-file", type=Path, help="a token instead of signing in")
    parser.add_argument("--websockets", type=int, default=0)
    parser.add_argument("--websocket-path", default="/ws")
    parser.add_argument("--sparse", type=int, default=0, help="clients that are idle in between")
    parser.add_argument(
        "--idle", type=float, nargs=2, default=(1.0, 14.0), metavar="SECONDS", help="least and most"
    )
    return parser


async def headers_of(asked: argparse.Namespace, target: Target) -> dict[str, str]:
    """Return what every request carries: a token, where one is asked for."""
    headers = {"Content-Type": "application/json", "User-Agent": "load"}
    token = asked.token_file.read_text().strip() if asked.token_file else None
    if token is None and asked.sign_in:
        # What a command line says is seen by everybody on the machine.
        body = sys.stdin.readline() if asked.sign_in_body == "-" else asked.sign_in_body
        token = await sign_in(target, asked.sign_in, body, asked.token_field)
    return {**headers, "Authorization": f"Bearer {token}"} if token else headers


def load_of(
    asked: argparse.Namespace, target: Target, headers: dict[str, str], records: IO[str]
) -> Load:
    """Return the load that was asked for."""
    return Load(
        target=target,
        path=asked.path,
        body=asked.body,
        headers=headers,
        rate=asked.rate,
        seconds=asked.seconds,
        count=asked.count,
        connections=asked.connections,
        timeout=asked.timeout,
        websockets=asked.websockets,
        websocket_path=asked.websocket_path,
        sparse=asked.sparse,
        idle=(asked.idle[0], asked.idle[1]),
        records=records,
    )


async def main() -> int:
    """Run the load that was asked for and print its summary; 1 when a request failed."""
    asked = arguments().parse_args()
    context = ssl.create_default_context(cafile=asked.ca)
    target = Target(address=asked.address, port=asked.port, name=asked.name, context=context)
    headers = await headers_of(asked, target)
    asked.records.parent.mkdir(parents=True, exist_ok=True)
    # A line at a time, so that the record of a client that is killed is whole up to then.
    with asked.records.open("w", encoding="utf-8", buffering=1) as records:
        load = load_of(asked, target, headers, records)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, load.stop.set)
        summary = await load.run()
    print(json.dumps(summary), flush=True)  # noqa: T201 - a program of its own, and its result
    return 1 if summary["failed"] or summary["sparse"]["failed"] else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
