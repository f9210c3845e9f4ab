"""A load that is there no more sees nothing: whoever judges it is told."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from changeover.drill.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path


def test_a_load_that_has_ended_has_no_further_requests(tmp_path: Path) -> None:
    records = tmp_path / "load.jsonl"
    records.write_text("{}\n")
    with subprocess.Popen([sys.executable, "-c", ""], text=True) as ended:
        ended.wait(timeout=60)

        assert not Recording(ended, records).further(1)
        assert Recording(ended, records).further(0)
