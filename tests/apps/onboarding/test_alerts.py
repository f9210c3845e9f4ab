"""The figures that alerts are about are told, in the buckets that they name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from .desk import APP, scraped

if TYPE_CHECKING:
    from .desk import Desk

pytestmark = pytest.mark.postgres
SERIES = re.compile(r'(\w+)\{job="onboarding"(?:,(\w+="[^"]+"))?\}')


def test_every_figure_of_an_alert_is_told(desk: Desk) -> None:
    release = yaml.safe_load((APP / "releases/2.0.0/release.yml").read_text())
    named = [each for alert in release["alerts"] for each in SERIES.findall(alert["expr"])]
    desk.step()
    desk.migrate()
    desk.shop.rows(f"REVOKE INSERT ON outbox FROM {desk.shop.app.user}")
    desk.migrate(fromVersion=2, toVersion=3)

    told = list(scraped(desk))

    assert len(named) == 9
    for name, label in named:
        assert any(each.partition("{")[0] == name and label in each for each in told), name


def test_a_request_that_cannot_be_meant_is_no_failure(desk: Desk) -> None:
    desk.step()
    desk.migrate()
    desk.migrate()

    told = scraped(desk)

    assert told['migration_requests_total{outcome="success"}'] == 1
    assert told['migration_requests_total{outcome="refused"}'] == 1
    assert 'migration_requests_total{outcome="failure"}' not in told
