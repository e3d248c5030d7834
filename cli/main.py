"""The console script ``driftline``: groups whose modules are imported only when they are called."""

import importlib
import sys
from difflib import get_close_matches
from importlib.metadata import version

import click

from driftline.store.errors import DriftlineError

# name -> (attribute, the line that `driftline --help` shows)
COMMANDS = {
    "assets": ("driftline.cli.assets.command:assets", "Write dashboards, rules and configuration with your addresses."),
    "build-image": ("driftline.cli.build_image.command:build_image", "Build an image that serves one model."),
    "demo": ("driftline.cli.demo.command:demo", "Show the whole way of the data on real data, in one folder."),
    "drift": ("driftline.cli.drift:drift", "Judge live data against the training reference now."),
    "import": ("driftline.cli.imports:imports", "Load calls that another system captured."),
    "labels": ("driftline.cli.labels:labels", "Load what turned out to be true, and see what became of it."),
    "monitor": ("driftline.cli.monitor:monitor", "Run the scheduled jobs and expose their results."),
    "performance": ("driftline.cli.performance:performance", "Show how well a model does on labelled rows."),
    "proxy": ("driftline.cli.proxy:proxy", "Stand in front of a server that stays, and keep every request."),
    "reference": ("driftline.cli.reference:reference", "Build a model's training reference."),
    "replay": ("driftline.cli.replay:replay", "Ask another version what it would have answered to captured requests."),
    "report": ("driftline.cli.report:report", "Write the drift report of a model."),
    "serve": ("driftline.cli.serve:serve", "Serve a model as `mlflow models serve` does, and keep every request."),
    "store": ("driftline.cli.store:store", "Upgrade, inspect, verify, prune and export the store."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        meant = get_close_matches(args[0], COMMANDS, n=1)
        if meant and args[0] not in COMMANDS:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{meant[0]}'?")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup)
@click.version_option(version("driftline"), prog_name="driftline")
def root() -> None:
    """Drift and health monitoring sidecar for MLflow models."""


def _remedy(package: str) -> str:
    """Return the command that installs a package, through the extra that has it."""
    extras = {"statsmodels": "monitor,demo", "sklearn": "monitor,demo", "psycopg": "postgresql"}
    return f"`pip install 'driftline[{extras.get(package.split('.', maxsplit=1)[0], 'monitor')}]'`"


def main() -> None:
    """Run the command line; an expected error is one line and an exit code, never a traceback."""
    try:
        root(standalone_mode=True)
    except DriftlineError as error:
        click.echo(f"driftline: {error}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("driftline"):
            raise
        click.echo(f"driftline: this command needs the package {error.name}: {_remedy(error.name)}", err=True)
        sys.exit(1)
    except Exception as error:
        from driftline.store.failures import describe, is_store_trouble

        if not is_store_trouble(error):
            raise
        click.echo(f"driftline: the store went away ({describe(error)}): start it and run this again", err=True)
        sys.exit(1)
