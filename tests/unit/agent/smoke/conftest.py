"""A host with the real Nginx, whose units are processes of the test."""

from __future__ import annotations

import socket
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.postgres.moments import until
from tests.unit.agent.conftest import APP, write_record
from tests.unit.agent.smoke.placed import site, up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.agent.conftest import Machine
    from websockets.sync.server import Server

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


@pytest.fixture
def chat() -> Iterator[list[Server]]:
    """Return WebSocket servers that end with the test."""
    servers: list[Server] = []
    yield servers
    for server in servers:
        server.shutdown()


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
