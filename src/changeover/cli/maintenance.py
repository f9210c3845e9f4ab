"""maintenance: a page in place of the app, for everybody but those who test it."""

from __future__ import annotations

import ipaddress
from typing import Annotated

import typer

from changeover.cli import options
from changeover.cli.desk import context_of, open_desk
from changeover.errors import InvalidInput

app = typer.Typer(no_args_is_help=True)
LONGEST_SECONDS = 86400
RETRY_AFTER_SECONDS = 120
# What the host agent takes: an IPv4 network of /24.
MOST_MACHINES = 256


class AddressUnclear(InvalidInput):
    """What should get through is no address, and no network that is small enough."""


@app.command()
def on(
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            help="An address, or a network of up to 256, that gets the app; may be given again.",
        ),
    ] = None,
    retry_after: Annotated[
        int,
        typer.Option(
            "--retry-after",
            min=1,
            max=LONGEST_SECONDS,
            help="After how many seconds clients are told to come again.",
        ),
    ] = RETRY_AFTER_SECONDS,
    reason: Annotated[
        str, typer.Option("--reason", help="Why, for colleagues; users do not see it.")
    ] = "",
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app_name: options.App = None,
    *,
    tester: Annotated[
        bool, typer.Option("--tester", help="Draw a token that gets the app, and print it.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Answer users 503 with a page, on every app host or on none; what was on is replaced."""
    from changeover.runner.page import by_hand  # noqa: PLC0415 - hosts are asked only by this verb

    let = tuple(_address(each) for each in allow or ())
    if not reason.isprintable():
        raise InvalidInput(
            "--reason has to be one line of text", hint="changeover maintenance on --help"
        )
    desk = open_desk(env, app_name, json_lines=json)
    asked = by_hand.Asked(retry_after=retry_after, allow=let, tester=tester, reason=reason)
    outcome, token = by_hand.show(context_of(desk), asked)
    told = {"type": "maintenance", "on": True, "retry_after": retry_after, "allow": list(let)}
    lines = [
        f"{outcome.says}; changeover maintenance off --env {desk.environment.name} takes it away"
    ]
    if token is not None:
        link = f"{desk.environment.public_url(desk.app)}/.changeover/tester/{token.reveal()}"
        told |= {"tester": token.reveal(), "link": link}
        lines += [
            f"testers send the header X-Changeover-Tester: {token.reveal()}",
            f"or open {link}",
        ]
    desk.output.data(told, "\n".join(lines))


def _address(text: str) -> str:
    hint = "for example --allow 192.0.2.7 or --allow 192.0.2.0/24; for more there is --tester"
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise AddressUnclear(
            f"--allow {text}: no address, and no network", cause=str(error), hint=hint
        ) from error
    if network.num_addresses > MOST_MACHINES:
        said = f"--allow {text}: more than {MOST_MACHINES} addresses"
        raise AddressUnclear(said, hint=hint)
    return str(network.network_address) if network.num_addresses == 1 else str(network)


@app.command()
def off(
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app_name: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Give users the app again, once it is well on every host; the page stays where it is not."""
    from changeover.runner.page import by_hand  # noqa: PLC0415 - hosts are asked only by this verb

    desk = open_desk(env, app_name, json_lines=json)
    outcome = by_hand.hide(context_of(desk))
    told = {"type": "maintenance", "on": False, **outcome.figures}
    desk.output.data(told, outcome.says)


@app.command("status")
def show(
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app_name: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Show on each app host whether users get the page, since when, and who wanted it."""
    from changeover.runner.fleet import survey  # noqa: PLC0415 - hosts are asked only by this verb
    from changeover.runner.page import by_hand  # noqa: PLC0415 - hosts are asked only by this verb

    desk = open_desk(env, app_name, json_lines=json)
    states, seen = survey.status(desk.environment, desk.app, desk.output.event)
    for state in states.values():
        if "app" in state.groups:
            unserved = (
                "" if (state.maintenance or {}).get("served") else "; the live site has no page"
            )
            words = state.page_words or f"users get the app{unserved}"
            if state.host in seen.fenced:
                words = f"{state.page_words or 'no page'}, and no user gets there: it is fenced"
            desk.output.data(
                {"type": "maintenance-host", "host": state.host, **(state.maintenance or {})}
                | {"fenced": state.host in seen.fenced},
                f"{state.host}  {words}",
            )
    if taken_away := by_hand.taken_away(seen.apps, env):
        desk.output.note(taken_away)
    if seen.failure is not None:
        raise seen.failure
