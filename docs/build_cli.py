"""Write docs/cli.md from the commands themselves, so that the page cannot lag behind the code.

Run ``python docs/build_cli.py`` after a change of a command; a test compares.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from driftline.cli.main import COMMANDS, root

PAGE = Path(__file__).with_name("cli.md")
_HEAD = """# Command line

Every command, its arguments and its options; `--help` says the same. Each command that works on a store takes
`--home` and `--store`, or their variables, or the [configuration](configuration.md).

| exit code | |
|---|---|
| 0 | done |
| 1 | it failed: one line on standard error says why and what to type next |
| 2 | what was typed, or a setting, is wrong |
| 3 | what `--fail-on-drift`, `--fail-above` and the like ask about has happened |

This page is made from the code by `python docs/build_cli.py`.
"""


def page() -> str:
    """Return the whole page."""
    context = click.Context(root, info_name="driftline")
    sections = [_HEAD]
    for name in COMMANDS:
        command = root.get_command(context, name)
        if command is None:
            raise ValueError(f"{name} is in the table of commands and cannot be imported")
        sections += _sections(command, f"driftline {name}", 2)
    return "\n".join(sections)


def _sections(command: click.Command, name: str, level: int) -> Iterator[str]:
    yield _section(command, name, level)
    if isinstance(command, click.Group):
        for below in sorted(command.commands):
            if not command.commands[below].hidden:
                yield from _sections(command.commands[below], f"{name} {below}", level + 1)


def _section(command: click.Command, name: str, level: int) -> str:
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    help_text = inspect.cleandoc(command.help or "").partition("\f")[0]
    lines = [f"{'#' * level} {name}", "", f"`{usage}`", "", help_text, ""]
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    if options:
        lines += ["| option | meaning |", "|---|---|", *(_row(each, context) for each in options), ""]
    return "\n".join(lines)


def _row(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    if record is None:
        raise ValueError(f"{option.name} tells nothing of itself")
    typed, meaning = record
    return f"| `{typed.replace('|', chr(92) + '|')}` | {' '.join(meaning.split()).replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
