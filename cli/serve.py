"""``driftline serve``: every flag and variable of ``mlflow models serve``, and a few of ours."""

import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from driftline.cli.base_options import base_options
from driftline.cli.server_options import PORT, server_options
from driftline.store.settings import BaseSettings

if TYPE_CHECKING:
    from driftline.cli.model_containers import ContainerOrder

T = TypeVar("T")


@click.command("serve", context_settings={"show_default": True})
@click.option(
    "--model-uri",
    "-m",
    metavar="URI",
    default="",
    show_default=False,
    help="The model: `models:/name@alias`, `models:/name/3`, `runs:/...`, a path or a storage URI. Needed, except in "
    "containers of SageMaker and Azure ML, which say where it lies.",
)
@click.option("--port", "-p", envvar="MLFLOW_PORT", type=PORT, default=5000, help="The scoring port.")
@click.option(
    "--host",
    "-h",
    envvar="MLFLOW_HOST",
    metavar="HOST",
    default="127.0.0.1",
    help="The interface to listen on; 0.0.0.0 for all.",
)
@click.option(
    "--timeout", "-t", envvar="MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", default=60, help="Seconds a request may take."
)
@click.option(
    "--workers", "-w", envvar="MLFLOW_MODELS_WORKERS", default=1, type=click.IntRange(min=1), help="Worker processes."
)
@click.option(
    "--env-manager",
    default="local",
    metavar="NAME",
    help="Where the model runs: `local`, this environment; `virtualenv`, `uv` or `conda`, one made from the model's "
    "requirements as MLflow makes it, with driftline in it.",
)
@click.option("--no-conda", is_flag=True, default=False, help="The same as `--env-manager local`.")
@click.option(
    "--install-mlflow", is_flag=True, default=False, help="Put this MLflow into the environment that is made."
)
@base_options
@server_options
@click.option(
    "--registry-poll-seconds",
    type=float,
    metavar="S",
    help="How often to ask what an alias, a stage or `latest` means now, and to serve that; 0 never. [default: 30]",
)
@click.option(
    "--shadow",
    metavar="URI",
    help="A challenger: it scores the same requests after their answers left, and answers nobody.",
)
@click.option("--canary", metavar="URI=10%", help="A model that answers this share of the requests.")
@click.option(
    "--canary-header",
    metavar="NAME",
    help="Send requests with the same value in this header the same way. [default: none]",
)
@click.option(
    "--max-body-bytes", type=int, metavar="N", help="Answer larger requests with 413; 0 takes any. [default: 100000000]"
)
@click.option(
    "--max-batch-rows",
    type=int,
    metavar="N",
    help="Concurrent requests become one prediction of up to N rows, where the model predicts alike. [default: off]",
)
@click.option(
    "--max-batch-wait-ms",
    type=float,
    metavar="MS",
    help="The longest that a request waits for others while a prediction runs; alone it never waits. [default: 5]",
)
@click.pass_context
def serve(
    context: click.Context,
    /,
    model_uri: str,
    port: int,
    host: str,
    timeout: int,
    workers: int,
    env_manager: str,
    no_conda: bool,
    install_mlflow: bool,
    base: BaseSettings,
    durability: str | None,
    **scorer: Any,
) -> None:
    """Serve a model as `mlflow models serve` does, and keep every request and prediction.

    Every flag and variable of `mlflow models serve` is taken, the UVICORN_* variables too. The answers are MLflow's,
    byte for byte.
    """
    from driftline.scorer.stderr_log import log_to_stderr

    log_to_stderr()
    if not model_uri:
        order = _container_order(context)
        model_uri = order.model_uri
        host = _unless_typed(context, "host", host, order.host)
        port = _unless_typed(context, "port", port, order.port)
        workers = _unless_typed(context, "workers", workers, order.workers)
        timeout = _unless_typed(context, "timeout", timeout, order.timeout)
        scorer["aliases"] = scorer["aliases"] or order.aliases or None

    from driftline.scorer.environments import LOCAL, EnvironmentOptions, enter
    from driftline.scorer.settings import ScorerSettings
    from driftline.scorer.supervisor import ServeOptions
    from driftline.scorer.supervisor import serve as run
    from driftline.store.loader.settings import LoaderSettings
    from driftline.store.redaction import load_redaction
    from driftline.store.settings import load_section
    from driftline.store.spool.settings import SpoolSettings

    extras = "postgresql" if base.store_url.startswith("postgresql") else ""
    manager = LOCAL if no_conda else env_manager
    enter(EnvironmentOptions(manager, model_uri, install_mlflow, extras), [*sys.argv[1:], "--env-manager", LOCAL])
    sys.exit(
        run(
            ServeOptions(
                model_uri=model_uri,
                host=host,
                port=port,
                timeout=timeout,
                workers=workers,
                base=base,
                spool=load_section(SpoolSettings, "spool", {"durability": durability}),
                loader=load_section(LoaderSettings, "loader"),
                redaction=load_redaction(),
                scorer=load_section(ScorerSettings, "scorer", scorer),
            )
        )
    )


def _container_order(context: click.Context) -> "ContainerOrder":
    from driftline.cli.model_containers import container_order

    order = container_order(os.environ)
    if order is None:
        raise click.MissingParameter(
            ctx=context, param=next(each for each in context.command.params if each.name == "model_uri")
        )
    return order


def _unless_typed(context: click.Context, name: str, value: T, ordered: T | None) -> T:
    """Return what the platform orders, unless a flag or a variable says otherwise."""
    typed = context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    return value if typed or ordered is None else ordered
