"""Cache hosts: where Redis listens, and who may do what."""

# ruff: noqa: S101 - asserts are what a check is made of
from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from changeover.executors.testinfra_suite.conftest import Server

GROUPS = ("cache",)


def test_redis_runs_and_comes_back_after_a_boot(server: Server) -> None:
    """Redis is active and enabled."""
    assert server.unit("redis-server") == "active enabled"


def test_redis_listens_inside_alone(server: Server) -> None:
    """Port 6379 is open on the private address and on loopback."""
    lines = server.output("ss -Htln 'sport = :6379'").splitlines()
    found = {line.split()[3].rpartition(":")[0] for line in lines}

    assert found <= {server.address, "127.0.0.1", "[::1]"}
    assert server.address in found


def test_redis_answers_nobody_without_a_password(server: Server) -> None:
    """A stranger is asked to sign in first."""
    said = server.look.run(f"redis-cli -h {server.address} ping")

    assert "NOAUTH" in said.stdout + said.stderr


def test_redis_users_are_the_apps_alone(root: Server) -> None:
    """The default user is off; each app's user reaches its own keys and no administration."""
    lines = root.output("cat /etc/redis/users.acl").splitlines()
    # The hashes stay out of every message: only what is compared is taken from a line.
    users = {line.split()[1]: set(line.split()[2:]) for line in lines if line.startswith("user ")}
    wanted = {known["cache_user"]: app for app, known in root.apps.items() if known["cache_user"]}

    assert set(users) == {"default", *wanted}
    assert "off" in users["default"]
    assert "nopass" not in set().union(*users.values())
    for name, app in wanted.items():
        keys = {word for word in users[name] if word.startswith(("~", "&", "allkeys"))}
        assert keys == {f"~{app}:*", f"&{app}:*"}
        assert {"-@admin", "-@dangerous"} <= users[name]


def test_redis_files_are_closed(root: Server) -> None:
    """Passwords' hashes and settings are read by redis and root alone."""
    for file in ("/etc/redis/users.acl", "/etc/redis/redis.conf"):
        assert re.fullmatch(r"(redis|root):redis [64][04]0", root.mode(file)), file
