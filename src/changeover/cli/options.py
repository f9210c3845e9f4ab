"""The options that every verb shares, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Env = Annotated[
    str, typer.Option("--env", help="The environment: a folder of inventories/, or a path.")
]
App = Annotated[
    str | None, typer.Option("--app", help="The app; needed where the environment has several.")
]
AppOrAll = Annotated[
    str | None, typer.Option("--app", help="The app; every app of the environment, if none.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line on stdout.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; needed where there is no terminal.")]
Junit = Annotated[
    Path | None, typer.Option("--junit", help="Also write the results as JUnit XML to this file.")
]
Shown = Annotated[str | None, typer.Argument(help="The release; the newest one unless given.")]
Unreachable = Annotated[
    str | None,
    typer.Option(
        "--unreachable",
        metavar="POLICY",
        help="What to do about app hosts that do not answer: fail, skip or quorum=N%; else as the "
        "environment declares.",
    ),
]
Waive = Annotated[
    list[str] | None,
    typer.Option(
        "--waive",
        metavar="ID",
        help="Have this precondition of the release warn instead of being red; once for each.",
    ),
]
DEFAULT_ENVIRONMENT = "lab"
