"""The verbs ``bundle build`` and ``bundle verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from changeover.cli import options
from changeover.cli.desk import declared, open_desk, output_of
from changeover.counts import counted

app = typer.Typer(no_args_is_help=True)

Version = Annotated[str, typer.Argument(help="The release to build.")]
File = Annotated[Path, typer.Argument(help="The bundle; its signature is beside it.")]


@app.command()
def build(
    version: Version,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Build a release into one signed file, unless it is there already."""
    from changeover import bundle  # noqa: PLC0415 - `--help` does without

    desk = open_desk(env, app, json_lines=json)
    built = bundle.build(desk.root, *declared(desk, version), desk.environment.signing_key)
    files = len(built.manifest.files)
    size = built.path.stat().st_size
    desk.output.note(
        f"{'built' if built.built else 'was there already'}: {counted(files, 'file')}, {size / 1e6:.1f} MB"
    )
    desk.output.data(
        {
            "type": "bundle",
            "app": desk.app,
            "version": version,
            "path": str(built.path),
            "digest": built.digest,
            "bytes": size,
            "files": files,
            "built": built.built,
        },
        str(built.path),
    )


@app.command()
def verify(
    file: File,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    *,
    json: options.Json = False,
) -> None:
    """Check a bundle's signature and every file in it."""
    from changeover import bundle, inventory  # noqa: PLC0415 - `--help` does without

    signers = inventory.load(env).signers
    manifest = bundle.verify(file, signers)
    output_of(json_lines=json).data(
        {
            "type": "bundle-verified",
            "app": manifest.app,
            "version": manifest.version,
            "files": len(manifest.files),
            "built_from": manifest.built_from,
        },
        f"{file} is whole and signed: {manifest.app} {manifest.version},"
        f" {counted(len(manifest.files), 'file')}",
    )
