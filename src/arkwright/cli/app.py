"""The commands, put together. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from arkwright import __version__
from arkwright.cli import (
    attestations,
    cards,
    datasets,
    deployments,
    evaluations,
    experiments,
    failures,
    feedback,
    governance,
    jobs,
    load_test,
    models,
    monitoring,
    platform,
    predictions,
    rollouts,
    serve,
    training,
)
from arkwright.core.errors import ArkwrightError

app = typer.Typer(
    name="arkwright",
    help="From raw data to a governed, monitored model in production.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
_JOURNEY, _PLATFORM, _THINGS = "The journey", "The platform", "What there is"
for name, command in platform.COMMANDS.items():
    app.command(name, rich_help_panel=_PLATFORM)(command)
app.command("serve", rich_help_panel=_PLATFORM)(serve.serve)
app.command("train", rich_help_panel=_JOURNEY)(training.train)
app.command("evaluate", rich_help_panel=_JOURNEY)(evaluations.evaluate)
app.command("attest", rich_help_panel=_JOURNEY)(attestations.attest)
app.command("done", rich_help_panel=_JOURNEY)(attestations.done)
app.command("promote", rich_help_panel=_JOURNEY)(models.promote)
app.command("rollback", rich_help_panel=_JOURNEY)(models.rollback)
app.command("deploy", rich_help_panel=_JOURNEY)(deployments.deploy)
app.command("apply", rich_help_panel=_JOURNEY)(rollouts.apply)
app.command("load-test", rich_help_panel=_JOURNEY)(load_test.load_test)
app.command("predict", rich_help_panel=_JOURNEY)(predictions.predict)
app.command("batch", rich_help_panel=_JOURNEY)(predictions.batch)
deployments.app.command("feedback")(feedback.feedback)
app.command("lineage", rich_help_panel=_THINGS)(governance.lineage)
for name, group in (
    ("dataset", datasets.app),
    ("experiment", experiments.app),
    ("model", models.app),
    ("evaluation", evaluations.app),
    ("card", cards.app),
    ("deployment", deployments.app),
    ("monitor", monitoring.monitors),
    ("alert", monitoring.alerts),
    ("job", jobs.app),
    ("audit", governance.audit),
    ("apikey", governance.keys),
):
    app.add_typer(group, name=name, rich_help_panel=_THINGS, no_args_is_help=True)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"arkwright {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """From raw data to a governed, monitored model in production."""


def run(arguments: list[str] | None = None) -> None:
    """Run a command line and leave with its exit code."""
    try:
        app(arguments)
    except ArkwrightError as error:
        sys.exit(failures.report(error))
    except KeyboardInterrupt:
        failures.note_interruption()
        sys.exit(failures.INTERRUPTED)
    except BrokenPipeError:
        failures.silence_broken_pipe()
        sys.exit(failures.INTERRUPTED)
    except OSError as error:
        sys.exit(failures.report_disk_or_permission(error))
