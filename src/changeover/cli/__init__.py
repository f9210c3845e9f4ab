"""The command line: verbs, each one call into the package, printed, and turned into an exit code."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from changeover.cli.application import run  # noqa: PLC0415 - keeps `import changeover.cli` cheap

    run()
