"""The root command: version, settings, completion, and the list of commands."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from blocktool._version import __version__
from blocktool.cli.check_shapes import check_shapes
from blocktool.cli.command import Command, Group
from blocktool.cli.compare import compare
from blocktool.cli.diagram import diagram
from blocktool.cli.listing import list_blocks
from blocktool.cli.profile import profile
from blocktool.cli.reporting import report
from blocktool.cli.summary import summary

_EPILOG = (
    "Every option has a variable (BLOCKTOOL_DEPTH=3 for --depth 3) and a default in "
    "[tool.blocktool] of the nearest pyproject.toml (depth = 3)."
)


@cache
def command() -> Any:
    """The whole command line, as Typer's command object."""
    app = typer.Typer(
        cls=Group,
        help="Tell what a vision block, stage or model is, whether it holds, and how it runs.",
        rich_markup_mode=None,  # Rich's help would take longer than the rest of --help together
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        epilog=_EPILOG,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    app.command("list", cls=Command, short_help="Blocks, options, example configurations.")(
        list_blocks
    )
    app.command(cls=Command, epilog=_EPILOG, short_help="What it is: parameters, MACs, bytes.")(
        summary
    )
    app.command(
        "check-shapes",
        cls=Command,
        epilog=_EPILOG,
        short_help="Whether it holds: sizes, dtypes, gradients, proofs.",
    )(check_shapes)
    app.command(
        cls=Command, epilog=_EPILOG, short_help="How it runs: latency, throughput, memory."
    )(profile)
    app.command(
        cls=Command, epilog=_EPILOG, short_help="What changed, and whether it may: the CI gate."
    )(compare)
    app.command(cls=Command, epilog=_EPILOG, short_help="A saved report as a page with pictures.")(
        report
    )
    app.command(cls=Command, epilog=_EPILOG, short_help="The data flow as a picture.")(diagram)
    return typer.main.get_command(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"blocktool {__version__}")
        raise typer.Exit


def _root(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    if ctx.resilient_parsing:
        return
    from blocktool.cli.settings import defaults

    commands: Any = getattr(ctx.command, "commands", {})
    ctx.default_map = defaults(commands, Path.cwd())
