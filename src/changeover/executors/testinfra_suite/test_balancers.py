"""Balancers that are no app hosts: HAProxy passes TLS through."""

# ruff: noqa: S101 - asserts are what a check is made of
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from changeover.executors.testinfra_suite.conftest import Server

GROUPS = ("lb",)
WITHOUT = ("app",)


def test_haproxy_runs_and_comes_back_after_a_boot(server: Server) -> None:
    """HAProxy is active and enabled."""
    assert server.unit("haproxy") == "active enabled"


def test_haproxy_listens_on_the_webs_ports(server: Server) -> None:
    """Ports 80 and 443 are served: a reload that failed inside leaves them closed."""
    ports = {line.split()[3].rpartition(":")[2] for line in server.output("ss -Htln").splitlines()}

    assert {"80", "443"} <= ports


def test_haproxy_configuration_is_valid(root: Server) -> None:
    """What lies in haproxy.cfg would load again."""
    ran = root.look.run("haproxy -c -q -f /etc/haproxy/haproxy.cfg")

    assert ran.rc == 0, ran.stderr


def test_haproxy_holds_no_key(root: Server) -> None:
    """TLS ends on the app hosts: no certificate's key lies here."""
    assert (
        root.output("find /etc/haproxy /etc/ssl/changeover -name '*key*' 2>/dev/null; true") == ""
    )
