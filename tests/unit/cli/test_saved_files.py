"""Files that a command writes its result to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover.cli.output import FileUnwritten, Output
from changeover.secret import Redactor, Secret

if TYPE_CHECKING:
    from pathlib import Path


def test_a_result_is_saved_without_secrets_in_a_folder_that_is_made(tmp_path: Path) -> None:
    file = tmp_path / "build" / "smoke.xml"

    Output(redactor=Redactor([Secret("hunter22")])).save(file, "said hunter22 - ü")

    assert file.read_text(encoding="utf-8") == "said [REDACTED] - ü"


def test_a_result_that_cannot_be_saved_is_told_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "build").write_text("a file")

    with pytest.raises(FileUnwritten, match=r"smoke\.xml cannot be written") as caught:
        Output().save(tmp_path / "build" / "smoke.xml", "text")

    assert caught.value.exit_code == 2
    assert "a folder that you may write to" in caught.value.hint
