"""Real Debian hosts on this machine: up, down, status, ssh, snapshot, reset."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from changeover.cli import options
from changeover.cli.desk import output_of
from changeover.lab import hosts as lab_hosts
from changeover.lab import lifecycle, snapshots
from changeover.lab import status as lab_status
from changeover.lab.identity import identify

if TYPE_CHECKING:
    from changeover.lab.identity import Identity
    from changeover.lab.programs import Progress

app = typer.Typer(help="Real Debian hosts on this machine.", no_args_is_help=True)


def _progress(*, json: bool) -> Progress:
    output = output_of(json_lines=json)
    return lambda words: output.event({"type": "progress", "says": words})


@app.command()
def up(
    *,
    topology: Annotated[
        str | None, typer.Option(help="single, fleet or archive; else the one that was up last.")
    ] = None,
    apps: Annotated[
        list[str] | None,
        typer.Option("--app", help="An app that it is to have; again for more. Else as it was."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Bring the lab up: what is missing is made, what runs stays."""
    lab = identify()
    lifecycle.up(lab, topology, _progress(json=json), apps or ())
    _show(lab, json=json)


@app.command()
def down(
    *,
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove disks, keys, secrets and unused images, too.")
    ] = False,
    keep_cache: Annotated[
        bool, typer.Option("--keep-cache", help="With --purge: leave unused images and packages.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Power the hosts off and remove every mount, link and process of the lab."""
    lifecycle.down(identify(), _progress(json=json), purge=purge, keep_cache=keep_cache)


@app.command()
def status(*, json: options.Json = False) -> None:
    """Show the hosts: address, groups, state, process."""
    _show(identify(), json=json)


@app.command()
def snapshot(
    name: Annotated[str, typer.Argument(help="What to call it; one of that name is replaced.")],
    *,
    json: options.Json = False,
) -> None:
    """Keep the disks of all hosts as they are now; hosts are powered off for it and booted again."""
    snapshots.snapshot(identify(), name, _progress(json=json))


@app.command()
def reset(
    name: Annotated[str, typer.Argument(help="A snapshot; `fresh` is there from the start.")],
    *,
    json: options.Json = False,
) -> None:
    """Return the disks of all hosts to a snapshot and boot them."""
    snapshots.reset(identify(), name, _progress(json=json))


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def ssh(
    host: Annotated[str, typer.Argument(help="A host of `lab status`.")],
    command: Annotated[list[str] | None, typer.Argument(help="What to run there.")] = None,
) -> None:
    """Open a shell on a host as its administrator, or run a command there."""
    lab = identify()
    words = lab_hosts.ssh_command(lab, lab_status.find_host(lab, host), *(command or ()))
    os.execvp(words[0], words)  # noqa: S606 - this process becomes SSH: its terminal, its status


def _show(identity: Identity, *, json: bool) -> None:
    lab = lab_status.status(identity)
    lines = [f"{lab.name}  {lab.topology or '-'}  {lab.subnet or '-'}  inventory {lab.inventory}"]
    lines += [
        f"{host.name:<12} {host.address:<15} {host.state:<8} {host.pid or '-':<8} {','.join(host.groups)}"
        for host in lab.hosts
    ]
    output_of(json_lines=json).data(lab.as_event(), "\n".join(lines))
