"""Signed bundles for the agent's tests, small and as the agent expects them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

UNIT = """\
[Unit]
Description={app} web, %i
StartLimitIntervalSec=0

[Service]
Type=exec
User={app}
Group={app}
UMask=0007
WorkingDirectory=/opt/{app}/releases/%i/code
Environment=SOCKET_DIRECTORY=/run/{app}/%i RELEASE_VERSION={version}
EnvironmentFile=/etc/changeover/{app}/%i.env
ExecStartPre=+/usr/bin/install -d -o {app} -g {app} -m 0750 /run/{app}/%i
ExecStart=/usr/bin/python3 sample_app.py {sockets}
Restart=always
RestartSec=100ms
TimeoutStopSec=15
NoNewPrivileges=true
ProtectSystem=strict
ReadWritePaths=-/run/{app}/%i
CapabilityBoundingSet=

[Install]
WantedBy=multi-user.target
"""
SITE = """\
server {{
    include /etc/nginx/changeover/{app}/listen_http.conf;
    add_header X-Site {name} always;
    {locations}
}}
"""
LOCATION = """\
location {path} {{
        if (-e /run/{app}/closing) {{ return 418; }}
        proxy_pass http://unix:/run/{app}/current/{socket}.sock:;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
    }}
"""
CLOSING = """\
error_page 418 = @closing;
    recursive_error_pages on;
    location @closing {{
        keepalive_timeout 0;
        proxy_pass http://unix:/run/{app}/current/http.sock:;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
    }}
"""


def site(app: str, name: str, *sockets: str) -> str:
    """Return a site that proxies / to the first socket and /NAME to the others."""
    locations = [
        LOCATION.format(app=app, path="/" if index == 0 else f"/{socket}", socket=socket)
        for index, socket in enumerate(sockets)
    ]
    return SITE.format(
        app=app, name=name, locations="\n    ".join([CLOSING.format(app=app), *locations])
    )


def keypair(directory: Path, name: str) -> Path:
    """Make a signing key and return its private file."""
    path = directory / name
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True
    )
    return path


def sign(bundle: Path, key: Path) -> None:
    """Sign a bundle beside it."""
    bundle.with_name(bundle.name + ".sig").unlink(missing_ok=True)
    subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-q", "-n", "changeover-bundle", "-f", str(key), str(bundle)],
        check=True,
        capture_output=True,
    )


def files_of(
    app: str,
    version: str,
    *,
    sockets: tuple[str, ...] = ("http",),
    site_text: str | None = None,
    unit_text: str | None = None,
    code: dict[str, bytes] | None = None,
) -> dict[str, bytes]:
    """Return a bundle's files but its manifest."""
    unit = UNIT.format(app=app, version=version, sockets=" ".join(sockets))
    files = {f"code/{name}": content for name, content in (code or {"app.txt": b"app\n"}).items()}
    files["units/web.service"] = (unit_text or unit).encode()
    if site_text is not None:
        files["site.conf"] = site_text.encode()
    return files


def manifest_of(
    app: str, version: str, files: dict[str, bytes], sockets: tuple[str, ...] = ("http",)
) -> dict[str, Any]:
    """Return the manifest of files."""
    return {
        "format": 1,
        "app": app,
        "version": version,
        "built_from": "tests",
        "files": {
            path: {
                "sha256": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "mode": 0o644,
            }
            for path, content in files.items()
        },
        "processes": {
            "web": {
                "unit": "units/web.service",
                "sockets": list(sockets),
                "health": {"socket": sockets[0], "path": "/health"} if sockets else None,
                "drain_seconds": 5,
            }
        },
        "site": "site.conf" if "site.conf" in files else None,
        "sbom": None,
    }


def archive(members: list[tuple[str, bytes]], extra: list[tarfile.TarInfo] | None = None) -> bytes:
    """Return members as a deterministic tar.gz, with further entries as they are."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for entry in extra or []:
            tar.addfile(entry)
    return gzip.compress(plain.getvalue(), mtime=0)


def write(directory: Path, content: bytes, key: Path) -> str:
    """Write and sign a bundle under its digest; return the digest."""
    digest = hashlib.sha256(content).hexdigest()
    bundle = directory / f"{digest}.bundle"
    bundle.write_bytes(content)
    sign(bundle, key)
    return digest


def make(directory: Path, key: Path, app: str, version: str, **options: Any) -> str:  # noqa: ANN401
    """Make a signed bundle from ``files_of`` options; return its digest."""
    sockets = options.get("sockets", ("http",))
    declared = {name: options.pop(name, None) for name in ("migrator", "tasks")}
    files = files_of(app, version, **options)
    described = {**manifest_of(app, version, files, sockets), **declared}
    manifest = json.dumps(described).encode()
    return write(directory, archive([("manifest.json", manifest), *files.items()]), key)
