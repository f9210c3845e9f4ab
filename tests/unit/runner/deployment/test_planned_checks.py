from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from changeover.migrations.folder import load
from changeover.plan import order
from changeover.plan.situation import Situation, Target
from changeover.runner.deployment import forecast, stages
from changeover.verdict import Verdict

NOX_API = Path(__file__).parents[4] / "apps" / "nox-api" / "releases"
TARGET = Target(
    version="8.0.0",
    colour="8.0.0-bbbbbbbb",
    digest="b" * 64,
    bundle="nox-api-8.0.0.bundle",
    guide={},
    drain_seconds=20,
)


def test_a_plan_tells_what_the_data_will_be_held_to() -> None:
    pending = load(NOX_API / "8.0.0" / "migrations", "8.0.0").of(("expand",))
    found = Situation(
        environment="lab",
        app="nox-api",
        live="7.0.0-aaaaaaaa",
        live_version="7.0.0",
        app_hosts=("app1",),
        all_hosts=("app1", "db"),
        database_hosts=("db",),
        verdict=Verdict(kind="instant", because="it only adds"),
        pending=tuple(migration.id for migration in pending),
        checks=tuple(forecast.checks_of(pending)),
    )

    made = order.deploy(found, TARGET)

    assert stages.words(made).partition("data checks:\n")[2].splitlines()[:5] == [
        "  8.0.0/expand/001_users_security  rows users: 0",
        "  8.0.0/expand/005_refresh_tokens  rows users: 0",
        "  8.0.0/expand/005_refresh_tokens  rows refresh_token_families: 0",
        "  8.0.0/expand/005_refresh_tokens  rows refresh_tokens: 0",
        "  8.0.0/expand/005_refresh_tokens  orphans refresh_token_families.user_id: users.id",
    ]
    assert order.deploy(replace(found, checks=()), TARGET).digest != made.digest
