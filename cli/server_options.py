"""What ``driftline serve`` and ``driftline proxy`` both take: store, metrics, tokens, rates and TLS."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

PORT = click.IntRange(0, 65535)
_FILE = click.Path(path_type=Path)
_OPTIONS = (
    click.option(
        "--start-without-store",
        is_flag=True,
        default=None,
        help="Start although the database does not answer; the spool keeps what is answered.",
    ),
    click.option(
        "--durability",
        type=click.Choice(["process", "power"]),
        help="What an answered request survives: the death of the process, or a power cut too. [default: process]",
    ),
    click.option(
        "--version-headers/--no-version-headers",
        default=None,
        help="Name arm and model version in headers of the answers. [default: yes]",
    ),
    click.option("--metrics-port", type=PORT, help="Port of /metrics. [default: 9107]"),
    click.option("--metrics-host", metavar="HOST", help="Interface of /metrics. [default: that of the scoring port]"),
    click.option(
        "--rate-limit-per-second",
        type=float,
        metavar="N",
        help="Requests per second of one token or address and worker; more get a 429. [default: no limit]",
    ),
    click.option(
        "--rate-limit-burst",
        type=int,
        metavar="N",
        help="Requests at once after a pause. [default: those of one second]",
    ),
    click.option(
        "--token-file", type=_FILE, metavar="FILE", help="Bearer tokens, one per line; scoring then asks for one."
    ),
    click.option("--metrics-token-file", type=_FILE, metavar="FILE", help="The same for the metrics port."),
    click.option(
        "--protect-health", is_flag=True, default=None, help="Ask for a token on /ping, /health and /version too."
    ),
    click.option(
        "--aliases",
        metavar="PAIRS",
        help="Further paths by which clients know the routes: `/score=/invocations,/=/ping`. [default: none]",
    ),
    click.option("--tls-certfile", type=_FILE, metavar="FILE", help="Certificate chain (PEM) of both ports."),
    click.option("--tls-keyfile", type=_FILE, metavar="FILE", help="Its key (PEM)."),
    click.option(
        "--tls-client-ca", type=_FILE, metavar="FILE", help="Clients have to show a certificate signed by these."
    ),
)


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets what was typed by their names, None where nothing was."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
