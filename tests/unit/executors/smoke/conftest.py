"""A shop behind TLS with an authority of its own, its sign-in provider, and its WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import ssl
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import Server, ServerConnection, serve

from changeover.executors.smoke.values import Target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from websockets.http11 import Request, Response

SHOP, PROVIDER = "shop.test", "login.test"
Asked = dict[str, Any]
Said = tuple[int, dict[str, str], Any]


@dataclass
class Authority:
    """A certificate authority in a directory."""

    directory: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    serial: int = 0

    @property
    def file(self) -> Path:
        return self.directory / "ca.pem"

    def context(
        self, names: tuple[str, ...] = (SHOP, PROVIDER), *, days: int = 90
    ) -> ssl.SSLContext:
        """Return a server context with a certificate that ends in ``days``."""
        self.serial += 1
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=200))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        chain, secret = (self.directory / f"{self.serial}.{end}" for end in ("pem", "key"))
        chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        secret.write_bytes(_private(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, secret)
        return context


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    now = dt.datetime.now(dt.UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=400))
        .not_valid_after(now + dt.timedelta(days=400))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    made = Authority(tmp_path_factory.mktemp("ca"), key, certificate)
    made.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return made


@dataclass
class Shop:
    """What the shop's server was asked, and what it is told to answer."""

    port: int = 0
    requests: list[Asked] = field(default_factory=list)
    answers: dict[str, Callable[[Asked], Said]] = field(default_factory=dict)


@pytest.fixture
def shop() -> Shop:
    return Shop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    shop: Shop

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        asked = {
            "method": self.command,
            "path": parts.path,
            "query": dict(urllib.parse.parse_qsl(parts.query)),
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": self.rfile.read(length).decode(),
        }
        self.shop.requests.append(asked)
        if parts.path == "/drip":
            self._drip()
            return
        handler = self.shop.answers.get(parts.path)
        status, headers, body = handler(asked) if handler else (404, {}, {"error": "not found"})
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def _drip(self) -> None:
        """Send a byte now and then, with no length: only a deadline of the whole ends it."""
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(100):
                self.wfile.write(b".")
                time.sleep(0.1)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815 - the library's names


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Say nothing of handshakes that fail: tests make them fail."""


@contextlib.contextmanager
def _serving(shop: Shop, context: ssl.SSLContext | None) -> Iterator[int]:
    handler = type("Handler", (_Handler,), {"shop": shop})
    server = _Quiet(("127.0.0.1", 0), handler)
    if context is not None:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def serving(authority: Authority) -> Iterator[Callable[..., Target]]:
    """Return a function that serves a shop under a context and says where it is."""
    with contextlib.ExitStack() as stack:

        def serve_shop(shop: Shop, context: ssl.SSLContext | None = None) -> Target:
            port = stack.enter_context(_serving(shop, context or authority.context()))
            plain = stack.enter_context(_serving(shop, None))
            shop.port = port
            return Target(
                public_url=f"https://{SHOP}:{port}",
                addresses={SHOP: "127.0.0.1", PROVIDER: "127.0.0.1"},
                ca_certificate=authority.file,
                http_port=plain,
            )

        yield serve_shop


@pytest.fixture
def conversing(authority: Authority) -> Iterator[Callable[..., Target]]:
    """Return a function that serves a WebSocket handler and says where it is."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    servers: list[Server] = []

    async def opened(handler: Any, options: dict[str, Any]) -> int:  # noqa: ANN401
        server = await serve(handler, "127.0.0.1", 0, ssl=authority.context(), **options)
        servers.append(server)
        port: int = next(iter(server.sockets)).getsockname()[1]
        return port

    def serve_socket(
        handler: Callable[[ServerConnection], Awaitable[None]],
        refuse: Callable[[ServerConnection, Request], Awaitable[None] | Response] | None = None,
        **options: Any,  # noqa: ANN401 - the library's own
    ) -> Target:
        opening = opened(handler, {"process_request": refuse, **options})
        port = asyncio.run_coroutine_threadsafe(opening, loop).result(10)
        return Target(
            public_url=f"https://{SHOP}:{port}",
            addresses={SHOP: "127.0.0.1"},
            ca_certificate=authority.file,
        )

    async def end() -> None:
        for server in servers:
            server.close()
            await server.wait_closed()

    yield serve_socket
    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()
