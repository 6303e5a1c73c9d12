"""The command line."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import rich_click as click

from app import server
from app.errors import StartError
from app.settings import PREFIX, Settings
from responders.conformance import check as check_responder
from responders.registry import Registry, UnknownResponder
from responders.responder import LoadError
from responders.source import load


class _Group(click.RichGroup):
    """Turns what people can mend into a sentence instead of a traceback, and loads `chat` when it is asked for.

    What `chat` needs would let every command start later by a quarter, and `serve` is to be ready at once.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "chat"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "chat":
            command: click.Command = importlib.import_module("app.chat").chat
            return command
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (StartError, LoadError, UnknownResponder) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tickertape")
def main() -> None:
    """The backend between a language model and the people who watch it type."""


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option per setting; an option that is not given leaves the setting to the environment."""
    for field in reversed(msgspec.structs.fields(Settings)):
        is_flag = isinstance(field.default, bool)
        name = field.name.replace("_", "-")
        command = click.option(
            f"--{name}/--no-{name}" if is_flag else f"--{name}",
            field.name,
            default=None,
            type=None if is_flag else str,
            metavar=None if is_flag else type(field.default).__name__.upper(),
            help=f"{_description(field.type)} [{PREFIX}{field.name.upper()}, default {field.default}]",
        )(command)
    return command


def _description(annotation: Any) -> str:
    described = [item.description for item in annotation.__metadata__ if getattr(item, "description", None)]
    return str(described[-1])


@main.command()
@_with_settings
def serve(**options: Any) -> None:
    """Run the server until a signal ends it."""
    server.run(Settings.read(os.environ, options))


@main.command()
@_with_settings
def config(**options: Any) -> None:
    """Print all settings as they are in force."""
    settings = Settings.read(os.environ, options)
    for name in Settings.__struct_fields__:
        click.echo(f"{PREFIX}{name.upper()}={getattr(settings, name)}")


@main.command()
def responders() -> None:
    """List the responders that can be asked; the default one is marked."""
    registry = Registry.discover(Settings.read(os.environ).responder)
    for responder in registry:
        mark = "*" if responder.name == registry.default else " "
        click.echo(f"{mark} {responder.name:<12} {responder.description}")


@main.command()
@click.argument("responder")
def check(responder: str) -> None:
    """Run the conformance cases on RESPONDER, a `module:attr` or a `file.py:attr`."""
    outcomes = check_responder(load(responder))
    for outcome in outcomes:
        verdict = "skipped" if outcome.skipped else "ok" if outcome.passed else "FAILED"
        click.echo(f"{verdict:<8} {outcome.name}: {outcome.sentence}")
    failures = sum(not outcome.passed for outcome in outcomes)
    click.echo(f"{failures} of {len(outcomes)} cases failed." if failures else f"All {len(outcomes)} cases passed.")
    sys.exit(1 if failures else 0)
