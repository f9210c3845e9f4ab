"""A step moves to a new version: what is answered, and what is in the database."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from .desk import MIGRATE, token

if TYPE_CHECKING:
    from .desk import Desk

pytestmark = pytest.mark.postgres
DONE, OTHERS = 1245, 278


@pytest.fixture
def guide(desk: Desk) -> Desk:
    """Give the guide's own case: 1,523 users, of whom 1,245 are done."""
    desk.step()
    desk.users("done", 1, DONE)
    desk.users("todo", DONE + 1, DONE + OTHERS - 20)
    desk.users("skipped", DONE + OTHERS - 19, DONE + OTHERS)
    return desk


def test_the_guides_own_case(guide: Desk) -> None:
    changes = {
        "title": "Configure Payment Methods",
        "description": "Stripe or PayPal",
        "weight": 35,
    }

    answer = guide.migrate(newStepData=changes)

    body = answer.body
    result = body["result"]
    assert (answer.status, body["success"]) == (200, True)
    assert [result[name] for name in ("usersAffected", "progressCopied", "progressReset")] == [
        1523, 1245, 278,
    ]  # fmt: skip
    assert (result["warnings"], result["dryRun"]) == ([], False)
    assert body["message"] == (
        "Migration completed successfully:\n- Step: payments\n- Version: 1 → 2\n"
        "- Users affected: 1523\n- Progress copied: 1245\n- Progress reset: 278\n"
        f"- Duration: {result['duration']}ms"
    )
    assert uuid.UUID(body["correlationId"])
    assert answer.headers["x-correlation-id"] == body["correlationId"]
    counted = "SELECT version, status, count(*), count(completed_at) FROM onboarding_progress GROUP BY 1, 2 ORDER BY 1, 2"
    assert guide.shop.rows(counted) == [
        (1, "done", DONE, DONE),
        (1, "skipped", 20, 0),
        (1, "todo", OTHERS - 20, 0),
        (2, "done", DONE, DONE),
        (2, "todo", OTHERS, 0),
    ]
    steps = "SELECT version, title, weight, active_to IS NULL FROM onboarding_steps ORDER BY 1"
    assert guide.shop.rows(steps) == [
        (1, "Configure payments", 30, False),
        (2, "Configure Payment Methods", 35, True),
    ]


def test_a_dry_run_writes_nothing_and_foretells_exactly(guide: Desk) -> None:
    guide.users("started", 2000, 2014)
    before = guide.rows()

    foretold = guide.migrate(dryRun=True, toVersion=3)

    assert guide.rows() == before
    done = guide.migrate(toVersion=3)
    for result in (foretold.body["result"], done.body["result"]):
        for name in ("duration", "timestamp", "dryRun"):
            del result[name]
    assert foretold.body["result"] == done.body["result"]
    assert done.body["result"]["warnings"] == [
        "Expected version 2 but got 3. Using 3.",
        "15 users had invalid status, reset to 'todo'",
    ]
    assert foretold.body["message"].startswith("[DRY RUN] Migration completed successfully:")
    assert "Duration" not in foretold.body["message"]


def test_percentages_are_made_anew_and_told(desk: Desk) -> None:
    desk.step("payments", weight=30)
    desk.step("theme", weight=70)
    desk.users("done", 1, 2)
    desk.users("todo", 3, 4)
    desk.users("done", 4, 4, step="theme")
    desk.shop.rows(
        "UPDATE onboarding_users SET percent = CASE user_id WHEN 'u4' THEN 70 WHEN 'u3' THEN 0 ELSE 30 END"
    )

    desk.migrate(newStepData={"weight": 70})

    percents = "SELECT user_id, percent FROM onboarding_users ORDER BY 1"
    assert desk.shop.rows(percents) == [("u1", 50), ("u2", 50), ("u3", 0), ("u4", 50)]
    told = [payload for (payload,) in desk.shop.rows("SELECT payload FROM outbox ORDER BY id")]
    changed = {each["userId"]: each["percent"] for each in told if "userId" in each}
    assert changed == {"u1": 50, "u2": 50, "u4": 50}
    assert told[-1]["usersAffected"] == 4


@pytest.mark.parametrize(
    ("asked", "errors"),
    [
        ({"stepId": "nothing"}, ["Step not found: nothing has no version 1"]),
        (
            {"fromVersion": 5, "toVersion": 6},
            ["Step not found: payments has no version 5"],
        ),
        (
            {"fromVersion": 1, "toVersion": 2},
            [
                "Target version already exists: payments has a version 2",
                "payments is not on version 1 any more",
            ],
        ),
    ],
)
@pytest.mark.parametrize("dry", [False, True])
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    guide: Desk, asked: dict[str, Any], errors: list[str], *, dry: bool
) -> None:
    guide.migrate()
    before = guide.rows()

    answer = guide.migrate(**asked, dryRun=dry)

    assert (answer.status, answer.body["error"]) == (400, "Validation failed")
    assert answer.body["errors"] == errors
    assert guide.rows() == before


def test_a_batch_stops_at_the_first_that_fails(guide: Desk) -> None:
    guide.step("theme")
    guide.step("product")
    names = ("payments", "lost", "product")
    batch = [{"stepId": name, "fromVersion": 1, "toVersion": 2} for name in names]

    answer = guide.ask("POST", MIGRATE, batch)

    body = answer.body
    assert (answer.status, body["success"]) == (400, False)
    assert body["message"] == "Batch migration: 1/3 successful"
    assert body["summary"] == {"total": 3, "successful": 1, "failed": 1}
    assert [
        (each["stepId"], each["success"], each["usersAffected"]) for each in body["results"]
    ] == [
        ("payments", True, 1523),
        ("lost", False, 0),
    ]
    active = "SELECT step_id, version FROM onboarding_steps WHERE active_to IS NULL ORDER BY 1"
    assert guide.shop.rows(active) == [("payments", 2), ("product", 1), ("theme", 1)]


def test_a_whole_batch(guide: Desk) -> None:
    guide.step("theme")
    batch = [{"stepId": name, "fromVersion": 1, "toVersion": 2} for name in ("payments", "theme")]

    body = guide.ask("POST", MIGRATE, batch).body

    assert (body["success"], body["message"]) == (True, "Batch migration: 2/2 successful")
    assert body["summary"] == {"total": 2, "successful": 2, "failed": 0}


@pytest.mark.parametrize("second", [(1, 3), (2, 3)])
def test_a_dry_run_is_not_judged_by_one_before_it(guide: Desk, second: tuple[int, int]) -> None:
    before = guide.rows()
    batch = [
        {"stepId": "payments", "fromVersion": old, "toVersion": new, "dryRun": True}
        for old, new in ((1, 2), second)
    ]

    answer = guide.ask("POST", MIGRATE, batch)

    assert (answer.status, answer.body["error"]) == (400, "Validation failed")
    (error,) = answer.body["errors"]
    assert error.startswith("[1]: payments has another dry run before it in this batch")
    assert guide.rows() == before


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        (b"{", 400, {"error": "Validation failed", "errors": ["the body is not JSON"]}),
        ([], 400, {"error": "Validation failed", "errors": ["the batch is empty"]}),
        ([{}] * 15, 400, {"error": "Batch size too large", "max": 10, "received": 15}),
        (
            {"stepId": "payments"},
            400,
            {
                "error": "Missing required fields",
                "required": ["stepId", "fromVersion", "toVersion"],
            },
        ),
        (
            {"stepId": "payments", "fromVersion": "1", "toVersion": 2},
            400,
            {"error": "fromVersion and toVersion must be integers"},
        ),
        (
            {"stepId": "payments", "fromVersion": True, "toVersion": 2},
            400,
            {"error": "fromVersion and toVersion must be integers"},
        ),
        (
            {
                "stepId": "a\0b",
                "fromVersion": 2,
                "toVersion": 1,
                "dryRun": 1,
                "more": 1,
                "maxRetries": 99,
            },
            400,
            {
                "error": "Validation failed",
                "errors": [
                    "more is not known",
                    "stepId must be text",
                    "toVersion must be greater than fromVersion",
                    "dryRun must be true or false",
                    "maxRetries must be an integer from 0 to 10",
                ],
            },
        ),
        (
            [
                {
                    "stepId": "payments",
                    "fromVersion": 1,
                    "toVersion": 2,
                    "newStepData": {"weight": -1, "rank": 1},
                }
            ],
            400,
            {
                "error": "Validation failed",
                "errors": [
                    "[0]: newStepData.rank is not known",
                    "[0]: newStepData.weight must be an integer from 0 to 10000",
                ],
            },
        ),
    ],
)
def test_what_cannot_be_meant_is_told(
    desk: Desk, body: object, status: int, answer: object
) -> None:
    desk.step()
    before = desk.rows()

    found = desk.ask("POST", MIGRATE, body)

    assert uuid.UUID(found.body.pop("correlationId"))
    assert (found.status, found.body) == (status, answer)
    assert desk.rows() == before


NONE = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwicm9sZSI6ImFkbWluIiwiZXhwIjo0MTAyNDQ0ODAwfQ."


@pytest.mark.parametrize(
    ("bearer", "status", "error"),
    [
        ("", 401, "Unauthorized"),
        ("nonsense", 401, "Unauthorized"),
        (NONE, 401, "Unauthorized"),
        (token(secret="another secret of thirty letters"), 401, "Unauthorized"),
        (token(exp=1), 401, "Unauthorized"),
        (token(exp=None), 401, "Unauthorized"),
        (token(sub=None), 401, "Unauthorized"),
        (token(role="user"), 403, "Forbidden"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_but_an_administrator_gets_in(
    desk: Desk, method: str, bearer: str, status: int, error: str
) -> None:
    asked = {"stepId": "payments", "fromVersion": 1, "toVersion": 2}

    found = desk.ask(method, MIGRATE, asked if method == "POST" else None, bearer=bearer)

    assert uuid.UUID(found.body.pop("correlationId"))
    assert (found.status, found.body) == (status, {"error": error})


def test_the_versions_of_a_step_are_told(guide: Desk) -> None:
    assert guide.ask("GET", MIGRATE).status == 400
    lost = guide.ask("GET", f"{MIGRATE}?stepId=lost")
    assert (lost.status, lost.body["error"], lost.body["stepId"]) == (404, "Step not found", "lost")
    guide.migrate()

    body = guide.ask("GET", f"{MIGRATE}?stepId=payments").body

    assert (body["activeVersion"], body["totalVersions"]) == (2, 2)
    first, second = body["versions"]
    assert first["activeTo"] == second["activeFrom"]
    assert (first["isActive"], second["isActive"], second["activeTo"]) == (False, True, None)
    assert first["updatedAt"].endswith("Z")


def test_every_migration_is_in_the_log(guide: Desk) -> None:
    body = guide.migrate().body

    lines = [line for line in guide.log.read_text().splitlines() if body["correlationId"] in line]
    prefix = "[Step Migration] "
    events = [line.removeprefix(prefix).partition(" {") for line in lines]
    assert [event for event, _, _ in events] == [
        "Migration started", "Transaction started", "Transaction committed", "Migration completed",
    ]  # fmt: skip
    facts = json.loads("{" + events[2][2])
    assert (facts["usersAffected"], facts["progressCopied"], facts["progressReset"]) == (
        1523,
        1245,
        278,
    )
