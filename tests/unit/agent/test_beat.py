"""The agent's sign of life, and a controller that takes no byte of it."""

from __future__ import annotations

import json
import os
import select
from typing import TYPE_CHECKING

from changeover.agent import beat, protocol
from changeover.agent.protocol import Replies

if TYPE_CHECKING:
    import pytest


def test_it_beats_while_it_works_and_between_whole_lines() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as lines, os.fdopen(writer, "wb", buffering=0) as stream:
        replies = Replies(stream)
        with beat.beating(replies, 0.001):
            assert select.select([reader], [], [], 60)[0]
            first = json.loads(lines.readline())
            for _ in range(20):
                replies.send("progress", message="x" * 3000)
                # a beat more than the line: both have to come out whole
                while json.loads(lines.readline())["type"] == "beat":
                    pass

    assert first == {"type": "beat"}


def test_a_reader_that_is_stopped_does_not_keep_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "TAKEN_SECONDS", 0.05)
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb"), os.fdopen(writer, "wb", buffering=0) as stream:
        replies = Replies(stream)

        replies.send("progress", message="x" * 200_000)

        assert replies.lost
