"""The command line: verbs, each one call into the package, printed, and turned into an exit code."""

from __future__ import annotations

import gc

# Objects that come to be before the collector looks for cycles: modules that are read make many, and leave none to collect.
COLLECT_AFTER = 100_000


def main() -> None:
    """Run the command line."""
    gc.set_threshold(COLLECT_AFTER)
    from changeover.cli.application import run  # noqa: PLC0415 - keeps `import changeover.cli` cheap

    try:
        run()
    finally:
        # What is left goes with the process: looking through it once more takes 0.1 s.
        gc.freeze()
