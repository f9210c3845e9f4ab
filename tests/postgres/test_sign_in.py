"""Preflight enters the database as the app: what it says of a server that lets its role in or not."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.unit.remote.test_tunnel import Channel

from changeover.errors import ChangeoverError
from changeover.executors.preflight import Server, entered, sign_in
from changeover.remote.failures import HostUnreachable
from changeover.remote.tunnel import forwarding
from changeover.secret import Secret

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from tests.postgres.conftest import Shop

    from changeover.database import Database
    from changeover.executors.preflight import Finding
    from changeover.inventory import Environment, Host

pytestmark = pytest.mark.postgres

ENVIRONMENT = cast("Environment", SimpleNamespace(name="production"))
HOSTS = tuple(cast("Host", SimpleNamespace(name=name)) for name in ("app1", "app2"))
WRONG = "another-1f2e"


@contextmanager
def tunnel(
    _: Environment, host: Host, port: int, *, target: str, forbidden: threading.Event
) -> Iterator[tuple[str, int]]:
    """Stand for the hosts' SSH daemons: app1 lets anything through, the others do not."""

    def reach(_client: tuple[str, int]) -> Channel:
        if host.name != "app1":
            forbidden.set()
            raise OSError("Administratively prohibited")
        return Channel((target, port))

    with forwarding(reach) as address:
        yield address


@pytest.fixture(autouse=True)
def _hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "open_tunnel", tunnel)


def found(role: Database, *, host: int = 0) -> Finding:
    named = dataclasses.replace(role, label="db1", environment="production")
    return sign_in.on_hosts(ENVIRONMENT, HOSTS, named)[HOSTS[host].name]


def test_the_role_that_is_let_in_is_ok(shop: Shop) -> None:
    said = found(shop.app)

    assert (said.id, said.status, said.host) == ("app-role", "ok", "app1")
    assert said.message == f"{shop.name} on db1 lets {shop.app.user} in"


def test_a_wrong_password_is_red_and_never_shown(shop: Shop) -> None:
    said = found(dataclasses.replace(shop.app, password=Secret(WRONG)))

    assert (said.status, said.host) == ("red", "app1")
    assert said.message == f"{shop.name} on db1 refuses the password of {shop.app.user}"
    assert said.next == (
        "compare changeover_database_passwords in the environment's vault with the server, then run"
        " changeover provision --env production"
    )
    assert "password authentication failed" in str(said.cause)
    assert WRONG not in repr(said)


def test_a_host_that_permits_no_tunnel_yet_is_a_warning(shop: Shop) -> None:
    said = found(dataclasses.replace(shop.app, password=Secret(WRONG)), host=1)

    assert (said.status, said.host) == ("warn", "app2")
    assert f"permits no tunnel to {shop.name} on db1" in said.message
    assert said.next == "changeover provision --env production --limit app2"


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (
            "ALTER ROLE {role} CONNECTION LIMIT 0",
            "has no connection left for {role}",
            "end sessions that are not needed on db1",
        ),
        (
            "ALTER ROLE {role} NOLOGIN",
            "refuses {role}",
            "the role, its rights and pg_hba.conf are written by changeover provision",
        ),
        (
            "REVOKE CONNECT ON DATABASE {name} FROM PUBLIC",
            "refuses {role}",
            "the role, its rights and pg_hba.conf are written by changeover provision",
        ),
    ],
)
def test_other_refusals_have_their_own_next_step(
    shop: Shop, change: str, message: str, hint: str
) -> None:
    shop.rows(change.format(role=shop.app.user, name=shop.name))

    said = found(shop.app)

    assert said.status == "red"
    assert said.message == f"{shop.name} on db1 {message.format(role=shop.app.user)}"
    assert said.next.startswith(hint)


def test_nobody_behind_the_tunnel_is_no_wrong_password(shop: Shop, unused_port: int) -> None:
    said = found(dataclasses.replace(shop.app, port=unused_port))

    assert said.status == "red"
    assert said.message == f"{shop.name} on db1 does not answer at 127.0.0.1:{unused_port}"
    assert said.next.startswith("changeover drift --env production")


def test_a_host_without_ssh_is_told_with_its_own_failure(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = HostUnreachable("app1 does not answer SSH", hint="start it", host="app1")

    def nothing(*_: object, **__: object) -> Any:  # noqa: ANN401 - never returns
        raise away

    monkeypatch.setattr(sign_in, "open_tunnel", nothing)

    assert found(shop.app).error is away


def test_the_app_is_tried_only_where_the_owner_is_let_in(shop: Shop) -> None:
    environment = cast("Environment", SimpleNamespace(name="production", hosts_in=lambda _: HOSTS))
    wrong = dataclasses.replace(shop.app, password=Secret(WRONG))
    refused = ChangeoverError("the server refuses the owner", hint="compare")

    def refuse() -> Server:
        raise refused

    assert entered(environment, refuse, wrong) == (refused, {})
    server, findings = entered(environment, lambda: Server(version="15.8", size_bytes=1), wrong)
    assert isinstance(server, Server)
    assert [said.status for each in findings.values() for said in each] == ["red", "warn"]


def test_the_owner_is_tried_from_the_first_app_host_where_the_app_migrates_itself(
    shop: Shop,
) -> None:
    environment = cast("Environment", SimpleNamespace(name="production", hosts_in=lambda _: HOSTS))
    server = Server(version="15.8", size_bytes=1)

    _, findings = entered(environment, lambda: server, shop.app, shop.owner)

    asked = {name: [said.id for said in each] for name, each in findings.items()}
    assert list(asked.values()) == [["app-role", "owner-role"], ["app-role"]]
