"""Tenants leave keys for providers, which are encrypted for them alone and told to nobody."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from .sealing import opened
from .system import ADMIN, SMOKE, bring, serving

if TYPE_CHECKING:
    from tests.apps.python_app import Answer
    from tests.postgres.own_server import Shop

    from .system import System

KEYS, STATUS = "/api/api-keys", "/api/api-keys/status"
KEY = "gsk_quite-A-secret_of+tenants/0123=="
OLD = "old:the first secret of these tests"
NEW = "new:another secret of these tests"
ABSENT = {"configured": False, "is_active": False, "last_used": None}
THERE = {"configured": True, "is_active": True, "last_used": None}


def save(
    system: System, token: str, provider: str = "groq", key: str = KEY, **more: object
) -> Answer:
    asked = {"provider": provider, "api_key": key, **more}
    return system.ask("POST", KEYS, asked, bearer=token)


def status(system: System, token: str) -> dict[str, dict[str, Any]]:
    answer = system.ask("GET", STATUS, bearer=token)
    assert (answer.status, answer.body["success"]) == (200, True), answer
    told: dict[str, dict[str, Any]] = answer.body["data"]
    return told


def user(system: System, email: str) -> str:
    ((found,),) = system.rows(f"SELECT id FROM users WHERE email = '{email}'")  # noqa: S608
    return str(found)


def test_a_key_is_told_to_be_there_and_never_what_it_is(tenants: System) -> None:
    ann = tenants.register("ann@example.test")

    before = status(tenants, ann)
    saved = save(tenants, ann, is_active=False)
    answers = [saved, save(tenants, ann, "twilio"), tenants.ask("GET", STATUS, bearer=ann)]

    assert before == {"groq": ABSENT, "deepgram": ABSENT, "twilio": ABSENT}
    assert saved.body["data"] == {"provider": "groq", **THERE, "is_active": False}
    assert saved.status == 200
    assert answers[-1].body["data"] == {
        "groq": THERE | {"is_active": False},
        "deepgram": ABSENT,
        "twilio": THERE,
    }
    written = tenants.log.read_text() + "".join(map(repr, answers))
    for told in (KEY, base64.b64encode(KEY.encode()).decode(), json.dumps(KEY)[1:-1]):
        assert told not in written


def test_it_is_encrypted_at_rest_each_time_anew(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0", "2.0.0")

    with serving("2.0.0", shop, cache, API_KEYS_SECRET=f"{NEW},{OLD}") as system:
        ann = system.register("ann@example.test")
        save(system, ann, "groq")
        save(system, ann, "twilio")
        rows = system.rows("SELECT provider, key_id, sealed FROM api_keys ORDER BY provider")
        whole = system.rows(
            "SELECT api_keys::text FROM api_keys UNION SELECT audit_log::text FROM audit_log"
        )
        owner = user(system, "ann@example.test")

    assert [(provider, key_id) for provider, key_id, _ in rows] == [
        ("groq", "new"),
        ("twilio", "new"),
    ]
    assert rows[0][2][:12] != rows[1][2][:12]
    assert [opened(NEW, owner, provider, data) for provider, _, data in rows] == [KEY, KEY]
    assert not [row for row in whole if KEY in row[0] or KEY.encode().hex() in row[0]]


def test_saving_is_audited_without_the_key(tenants: System) -> None:
    ann = tenants.register("ann@example.test")

    answer = tenants.ask(
        "POST", KEYS, {"provider": "groq", "api_key": KEY}, bearer=ann, X_Request_Id="req_of_tests"
    )
    save(tenants, ann, key="")
    rows = tenants.rows("SELECT actor, action, subject, details, request_id FROM audit_log")

    owner = user(tenants, "ann@example.test")
    details = {"provider": "groq", "is_active": True}
    assert answer.status == 200
    assert rows == [(owner, "api_key.saved", owner, details, "req_of_tests")]


def test_what_is_no_key_is_refused_and_changes_nothing(tenants: System) -> None:
    ann = tenants.register("ann@example.test")
    save(tenants, ann)
    before = tenants.rows("SELECT * FROM api_keys")
    unfit: list[dict[str, object]] = [
        {"provider": "openai"},
        {"api_key": ""},
        {"api_key": "refused" * 72},
        {"api_key": "refused\0"},
        {"api_key": "refused\n"},
        {"api_key": "refused-\u00fc"},
        {"api_key": 7},
        {"api_key": None},
        {"is_active": "perhaps"},
        {"is_active": 0},
    ]

    for each in unfit:
        answer = tenants.ask("POST", KEYS, {"provider": "groq", "api_key": KEY} | each, bearer=ann)
        assert (answer.status, answer.body["error"]["code"]) == (400, "VALIDATION_ERROR"), each
        assert answer.body["error"]["details"].startswith(next(iter(each)))
        assert "refused" not in json.dumps(answer.body)
    assert tenants.rows("SELECT * FROM api_keys") == before


def test_others_see_and_change_nothing_of_it(tenants: System) -> None:
    ann, ben = tenants.register("ann@example.test"), tenants.register("ben@example.test")
    save(tenants, ann)
    before = tenants.rows("SELECT * FROM api_keys")

    others = [status(tenants, token) for token in (ben, tenants.sign_in(ADMIN))]
    save(tenants, ben, key="another")
    nobody = [tenants.ask("GET", STATUS), tenants.ask("POST", KEYS, {})]
    legacy = tenants.ask("GET", STATUS, bearer=tenants.sign_in(SMOKE))

    assert others == [{"groq": ABSENT, "deepgram": ABSENT, "twilio": ABSENT}] * 2
    assert [answer.status for answer in nobody] == [401, 401]
    assert legacy.status == 200
    owner = user(tenants, "ann@example.test")
    assert tenants.rows(f"SELECT * FROM api_keys WHERE user_id = '{owner}'") == before  # noqa: S608


@pytest.mark.parametrize("moved", ["user_id = %(ben)s", "provider = 'twilio'"])
def test_a_row_that_is_copied_elsewhere_does_not_open(tenants: System, moved: str) -> None:
    ann, ben = tenants.register("ann@example.test"), tenants.register("ben@example.test")
    save(tenants, ann)
    owners = {name: user(tenants, f"{name}@example.test") for name in ("ann", "ben")}

    tenants.rows("UPDATE api_keys SET " + moved.replace("%(ben)s", f"'{owners['ben']}'"))  # noqa: S608
    told = status(tenants, ben if "user_id" in moved else ann)

    found = told["groq" if "user_id" in moved else "twilio"]
    assert (found["configured"], found["is_active"]) == (True, False)
    assert found["error"]["code"] == "API_KEY_UNREADABLE"


def test_a_key_of_a_secret_that_is_gone_is_told_and_can_be_saved_again(
    shop: Shop, cache: str
) -> None:
    bring(shop, "1.0.0", "2.0.0")
    with serving("2.0.0", shop, cache, API_KEYS_SECRET=OLD) as system:
        save(system, system.register("ann@example.test"), "groq")
    same_id = "old:a secret that is not the first"

    with serving("2.0.0", shop, cache, API_KEYS_SECRET=NEW) as system:
        ann = system.sign_in("ann@example.test")
        gone = status(system, ann)["groq"]
    with serving("2.0.0", shop, cache, API_KEYS_SECRET=same_id) as system:
        mistaken = status(system, ann)["groq"]
        again = save(system, ann)
        mended = status(system, ann)["groq"]

    for told in (gone, mistaken):
        assert (told["configured"], told["is_active"], told["last_used"]) == (True, False, None)
        assert told["error"]["code"] == "API_KEY_UNREADABLE"
    assert again.status == 200
    assert mended == THERE


def test_the_same_key_keeps_when_it_was_used_and_another_one_was_not_used(tenants: System) -> None:
    ann = tenants.register("ann@example.test")
    save(tenants, ann)
    tenants.rows("UPDATE api_keys SET last_used = '2026-01-31 23:59:59.5+00'")

    used = status(tenants, ann)["groq"]["last_used"]
    same = save(tenants, ann, is_active=False).body["data"]
    other = save(tenants, ann, key="another").body["data"]

    assert used == "2026-01-31T23:59:59.500Z"
    assert (same["last_used"], same["is_active"]) == (used, False)
    assert (other["last_used"], other["is_active"]) == (None, True)


@pytest.mark.parametrize(
    ("secrets", "why"),
    [
        (" , ", "there is no secret"),
        (f"{OLD},old:the second secret of that id", "two secrets have the id old"),
        (f"{OLD},new:short", "the secret new is shorter than 16 letters"),
        ("an id: of a secret with spaces", "an id has 1 to 32 letters"),
    ],
)
def test_unfit_secrets_end_the_process_and_are_not_shown(
    shop: Shop, cache: str, secrets: str, why: str
) -> None:
    bring(shop, "1.0.0", "2.0.0")

    with (
        pytest.raises(AssertionError) as told,
        serving("2.0.0", shop, cache, API_KEYS_SECRET=secrets),
    ):
        pass

    assert f"API_KEYS_SECRET: {why}" in str(told.value)
    assert "of these tests" not in str(told.value)
    assert "with spaces" not in str(told.value)
