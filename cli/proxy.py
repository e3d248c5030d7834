"""``driftline proxy``: a second way, for a server that stays where it is."""

import sys
from dataclasses import replace
from typing import Any

import click

from driftline.cli.base_options import base_options
from driftline.cli.server_options import PORT, server_options
from driftline.store.settings import BaseSettings


@click.command("proxy", context_settings={"show_default": True})
@click.option(
    "--upstream",
    metavar="URL",
    help="The server to stand in front of: `http://127.0.0.1:5000`, `https://HOST:PORT` or `unix:/path/of/socket`. "
    "[env var: DRIFTLINE_PROXY_UPSTREAM]",
)
@click.option(
    "--model",
    "model_uri",
    metavar="URI",
    default="",
    show_default=False,
    help="The model that it serves, such as `models:/churn/3`: name, version and signature are read from there.",
)
@click.option(
    "--model-name", metavar="NAME", default="upstream", help="What the model is called where no `--model` is given."
)
@click.option("--port", "-p", type=PORT, default=5001, help="The port to listen on.")
@click.option("--host", "-h", metavar="HOST", default="127.0.0.1", help="The interface to listen on; 0.0.0.0 for all.")
@click.option("--workers", "-w", default=1, type=click.IntRange(min=1), help="Worker processes.")
@click.option(
    "--silence-seconds",
    "-t",
    type=float,
    metavar="S",
    help="How long the server may say nothing before a client gets a 504; 0 waits for ever. [default: 90]",
)
@click.option(
    "--kept-body-bytes",
    type=int,
    metavar="N",
    help="Larger bodies pass too, and are recorded as none. [default: 16777216]",
)
@click.option(
    "--max-body-bytes", type=int, metavar="N", help="Answer larger requests with 413; 0 passes any on. [default: 0]"
)
@base_options
@server_options
def proxy(
    model_uri: str,
    model_name: str,
    host: str,
    port: int,
    workers: int,
    base: BaseSettings,
    durability: str | None,
    **flags: Any,
) -> None:
    """Pass every request to a server that speaks MLflow's protocol, and keep what passes /invocations.

    Bodies pass byte for byte, both ways, as they come. Without `--model` the bodies are kept, and no typed columns.
    """
    from driftline.scorer.stderr_log import log_to_stderr

    log_to_stderr()

    from driftline.scorer.proxy.settings import ProxySettings
    from driftline.scorer.proxy.supervisor import ProxyOptions, UnknownModelLoaderSettings
    from driftline.scorer.proxy.supervisor import proxy as run
    from driftline.scorer.settings import ScorerSettings
    from driftline.store.loader.settings import LoaderSettings
    from driftline.store.redaction import load_redaction
    from driftline.store.settings import load_section
    from driftline.store.spool.settings import SpoolSettings

    own = {name: flags.pop(name) for name in ("upstream", "silence_seconds", "kept_body_bytes", "max_body_bytes")}
    sys.exit(
        run(
            ProxyOptions(
                model_uri=model_uri,
                model_name=model_name,
                host=host,
                port=port,
                workers=workers,
                base=base,
                spool=load_section(SpoolSettings, "spool", {"durability": durability}),
                redaction=load_redaction(),
                loader=load_section(LoaderSettings if model_uri else UnknownModelLoaderSettings, "loader"),
                # What the server behind serves changes when that is started again, not when an alias moves.
                scorer=replace(load_section(ScorerSettings, "scorer", flags), registry_poll_seconds=0.0),
                proxy=load_section(ProxySettings, "proxy", own),
            )
        )
    )
