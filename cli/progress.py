"""Progress bars, for who watches: nothing is drawn where the output is no terminal."""

import io
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar


def progress_bar(length: int, label: str) -> "ProgressBar[Any]":
    """Return a bar on standard error; without a terminal click would leave its label there as a line of its own."""
    file = sys.stderr if sys.stderr.isatty() else io.StringIO()
    return click.progressbar(length=length, label=label, file=file)


def counted(number: int, noun: str) -> str:
    """Return ``1 file``, ``2 files``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
