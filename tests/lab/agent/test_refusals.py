"""What the agent refuses on a real host, and what it says then."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from tests.unit.agent import bundles

from .host import APP, NONCE, first

if TYPE_CHECKING:
    from .host import Site

pytestmark = pytest.mark.lab


def test_a_colour_that_cannot_start_says_why_and_is_stopped(site: Site) -> None:
    old = first(site)
    secret = "postgres://app:kept-secret@db/x"
    bad = site.place("1.2.0", env={"CRASH": secret})

    failure = site.refuse("start", colour=bad, timeout_seconds=20)

    assert failure["error"] == "unit-failed"
    assert "cannot start: DATABASE_URL is [CRASH]" in failure["cause"]
    assert "kept-secret" not in json.dumps(failure)
    assert "kept-secret" not in site.root("cat /var/lib/changeover/sample/journal.jsonl")
    releases = {entry["colour"]: entry["running"] for entry in site.do("state")["releases"]}
    assert releases == {old: True, bad: False}


def test_a_socket_that_stays_silent_is_named(site: Site) -> None:
    unit = bundles.UNIT.format(app=APP, version="1.3.0", sockets="http")
    colour = site.place("1.3.0", sockets=("http", "ws"), unit_text=unit)

    failure = site.refuse("start", colour=colour, timeout_seconds=2)

    assert failure["error"] == "socket-silent"
    assert "ws.sock" in failure["message"]


def test_a_sick_colour_gets_no_users(site: Site) -> None:
    old = first(site)
    sick = site.place("1.2.0", env={"SICK": "no database"})
    site.do("start", colour=sick, timeout_seconds=20)

    failure = site.refuse("switch", "d2", colour=sick, deadman_seconds=60)

    assert failure["error"] == "unhealthy"
    assert "503" in failure["cause"]
    assert site.live == old


def test_an_invalid_site_changes_nothing(site: Site) -> None:
    old = first(site)
    text = bundles.site(APP, "b", "http").replace("proxy_pass", "proxy_passt", 1)
    new = site.up("2.0.0", site_text=text)

    failure = site.refuse("switch", "d2", colour=new, deadman_seconds=60)

    assert failure["error"] == "nginx-invalid"
    assert "proxy_passt" in failure["cause"]
    assert (site.live, site.get()[1]["X-Site"]) == (old, "a")
    assert site.do("state")["pending"] is None
    assert site.root("nginx -t -q; ls /etc/nginx /etc/nginx/sites-enabled -A").count("change") == 1


def test_a_site_that_nginx_cannot_serve_is_taken_back(site: Site) -> None:
    old = first(site)
    site.root("systemctl is-active ssh")
    text = bundles.site(APP, "b", "http").replace("server {", "server {\n    listen 22;", 1)
    new = site.up("2.0.0", site_text=text)

    failure = site.refuse("switch", "d2", colour=new, deadman_seconds=60, closing_seconds=0)

    assert failure["error"] in {"nginx-invalid", "nginx-failed"}
    assert "Address already in use" in failure["cause"]
    assert (site.live, site.get()[0], site.get()[1]["X-Site"]) == (old, 200, "a")
    assert site.do("state")["pending"] is None


def test_a_tampered_bundle_is_refused(site: Site) -> None:
    kept = site.place("0.9.0")
    digest = site.bundle("1.0.0")
    path = f"/var/lib/changeover/incoming/{digest}.bundle"
    assert site.ssh("deploy", f"printf x >>{path}").returncode == 0

    assert site.refuse("place", digest=digest, env={})["error"] == "digest-mismatch"
    assert site.listed("/opt/sample/releases") == [kept]


def test_another_signer_is_refused(site: Site) -> None:
    kept = site.place("0.9.0")
    stranger = bundles.keypair(site.work, f"stranger-{time.monotonic_ns()}")
    digest = site.bundle("1.0.0", key=stranger)

    assert site.refuse("place", digest=digest, env={})["error"] == "signature-refused"
    assert site.listed("/opt/sample/releases") == [kept]


def test_a_unit_of_another_user_is_refused(site: Site) -> None:
    unit = bundles.UNIT.format(app=APP, version="1.0.0", sockets="http")
    digest = site.bundle("1.0.0", unit_text=unit.replace("User=sample", "User=root"))

    failure = site.refuse("place", digest=digest, env={"SECRET": "value-of-a-secret"})

    assert failure["error"] == "unit-refused"
    assert site.root("ls -A /opt/sample/releases /etc/changeover/sample") == (
        "/etc/changeover/sample:\n\n/opt/sample/releases:"
    )


def test_an_overtaken_controller_is_refused(site: Site) -> None:
    colour = first(site)
    overtaken = {"number": site.number, "nonce": NONCE}
    site.ask(
        {"action": "steal", "owner": "b", "reason": "b", "ttl_seconds": 9, "nonce": "b" * 9},
        deployment="d2",
    )

    for action in (
        {"action": "stop", "colour": colour},
        {"action": "revert"},
        {"action": "renew", "ttl_seconds": 9},
        {"action": "unlock"},
    ):
        failure = site.ask(action, fence=overtaken)[-1]
        assert (failure["type"], failure["error"]) == ("failed", "fenced"), failure
    assert site.live == colour


def test_the_deploy_user_may_run_nothing_else_as_root(site: Site) -> None:
    for command in ("id", "/usr/local/lib/changeover/agent deadman /tmp/x", "sh -c id"):
        done = site.ssh("deploy", f"sudo -n {command}")
        assert done.returncode != 0
        assert b"uid=0" not in done.stdout
