"""Checks from outside that run beside others: where those fail, nobody waits for them."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from changeover.runner.back import retreat
from changeover.runner.deployment import proof

if TYPE_CHECKING:
    from changeover.executors.smoke.together import Stop

PATIENCE = 20.0


def test_an_interruption_on_the_hosts_ends_the_checks_from_outside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[bool] = []
    pools = contextlib.ExitStack()

    def smoke(_: Any, __: Any, stop: Stop) -> None:  # noqa: ANN401 - a stand-in's
        ended.append(stop.given.wait(PATIENCE))

    def inside(*_: Any) -> None:  # noqa: ANN401 - a stand-in's
        raise KeyboardInterrupt

    def kept(*words: Any, **named: Any) -> Any:  # noqa: ANN401 - the library's own
        pool = ThreadPoolExecutor(*words, **named)
        pools.callback(pool.shutdown, wait=True)
        return pool

    monkeypatch.setattr(proof, "ThreadPoolExecutor", kept)
    monkeypatch.setattr(proof, "smoke", smoke)
    monkeypatch.setattr(retreat, "_inside", inside)
    hosts: Any = [SimpleNamespace(name="app1"), SimpleNamespace(name="app2")]
    run: Any = SimpleNamespace(app_hosts=hosts, step=lambda _, act, **__: act())

    with pytest.raises(KeyboardInterrupt):
        retreat.prove(run, "7.0.0-abcdef12", hosts)
    pools.close()

    assert ended == [True]
