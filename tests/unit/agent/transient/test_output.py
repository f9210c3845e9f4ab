"""What a program printed, read by one who comes after another reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.agent.transient.output import CHUNK, Output

if TYPE_CHECKING:
    from pathlib import Path


def test_what_stands_behind_a_long_hole_of_an_earlier_reader_is_read_as_well(
    tmp_path: Path,
) -> None:
    raw = tmp_path / "raw"
    told: list[str] = []
    with raw.open("wb") as stream:
        stream.seek(2 * CHUNK + 5)
        stream.write(b"the cause\n")
    output = Output(raw, tmp_path / "kept/log", str, told.append, anew=True)

    output.drain(last=True)

    assert told == ["| the cause"]
