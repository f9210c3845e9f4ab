"""The handshake as a check, and as the reason why other checks are red."""

from __future__ import annotations

import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pydantic import TypeAdapter

from changeover import checks as declared
from changeover.executors import smoke

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.executors.smoke.conftest import Authority, Shop

    from changeover.executors.smoke.values import Target

CHECKS: TypeAdapter[tuple[declared.Check, ...]] = TypeAdapter(declared.Checks)


def message(target: Target, **check: object) -> str:
    checks = CHECKS.validate_python([{"id": "tls", **(check or {"tls": {}})}])
    found = smoke.apply(target, checks, {}, lambda _: None).results[0]
    return "green" if found.ok else found.message


def test_a_sound_endpoint(serving: Callable[..., Target], shop: Shop) -> None:
    assert message(serving(shop)) == "green"


def test_days_left(serving: Callable[..., Target], shop: Shop, authority: Authority) -> None:
    target = serving(shop, authority.context(days=10))

    assert message(target, tls={"days": 9}) == "green"
    assert message(target, tls={"days": 30}) == (
        "the certificate lasts 9 more days, expected at least 30"
    )


def test_an_older_protocol_that_is_accepted(
    serving: Callable[..., Target], shop: Shop, authority: Authority
) -> None:
    context = authority.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = ssl.TLSVersion.TLSv1_1

    assert message(serving(shop, context)) == "TLSv1.1 is accepted"


def test_a_floor_of_1_3(serving: Callable[..., Target], shop: Shop, authority: Authority) -> None:
    modern = authority.context()
    modern.minimum_version = ssl.TLSVersion.TLSv1_3

    assert message(serving(shop, modern), tls={"minimum": "TLSv1.3"}) == "green"
    assert message(serving(shop), tls={"minimum": "TLSv1.3"}) == "TLSv1.2 is accepted"


@pytest.mark.parametrize("check", [{"tls": {}}, {"request": "GET /"}, {"websocket": {"path": "/"}}])
def test_certificate_faults_are_named(
    serving: Callable[..., Target], shop: Shop, authority: Authority, check: dict[str, object]
) -> None:
    expired = serving(shop, authority.context(days=-1))
    stranger = serving(shop, authority.context(("other.test",)))
    untrusted = replace(serving(shop), ca_certificate=None)

    assert message(expired, **check) == "the certificate has expired"
    assert message(stranger, **check) == "the certificate is not made out to this name"
    assert message(untrusted, **check).startswith("the certificate is not trusted")
