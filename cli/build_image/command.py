"""``driftline build-image``: as ``mlflow models generate-dockerfile`` and ``build-docker``, with driftline inside."""

import shlex
import shutil
import tempfile
from pathlib import Path

import click

from driftline.cli.build_image.context import ImageOptions, write_context
from driftline.cli.build_image.engine import ENGINES, build, build_command, found_engine

_DEFAULT_FOLDER = Path("driftline-image")
_SUGGESTED_NAME = "driftline-model"


@click.command("build-image")
@click.argument("model", metavar="[MODEL_URI]", required=False)
@click.option("--model-uri", "-m", metavar="URI", help="The model, as `driftline serve -m` takes it.")
@click.option(
    "--output-directory",
    "-d",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Where the context is written, and kept. [default: {_DEFAULT_FOLDER}; none with --name]",
)
@click.option("--name", "-n", metavar="NAME", help="Build the image too, under this name.")
@click.option("--engine", type=click.Choice(ENGINES), help="What builds it. [default: the first that is installed]")
@click.option(
    "--base-image", default="", metavar="IMAGE", help="What it stands on. [default: python:VERSION-slim, the model's]"
)
@click.option(
    "--constraint",
    "-c",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Pins for packages that the model leaves open; an image keeps its own in /opt/driftline/pins.txt.",
)
@click.option("--install-mlflow", is_flag=True, help="Install this MLflow there, not the one that the model asks for.")
def build_image(
    model: str | None,
    model_uri: str | None,
    output_directory: Path | None,
    name: str | None,
    engine: str | None,
    base_image: str,
    constraint: Path | None,
    install_mlflow: bool,
) -> None:
    """Write what an image that serves this model is built from, and build it where it is given a name.

    The image holds the model, exactly what it requires, and driftline beside it; it serves on port 8080.
    """
    if (model is None) == (model_uri is None):
        raise click.UsageError("name one model: `driftline build-image models:/churn@champion`")
    if name:
        engine = found_engine(engine)
    options = ImageOptions(base_image, constraint, install_mlflow)
    with tempfile.TemporaryDirectory(prefix="driftline-image-") as scratch:
        kept = output_directory or (None if name else _DEFAULT_FOLDER)
        folder = kept or Path(scratch, "context")
        served = _write(folder, model or model_uri or "", Path(scratch), options)
        if kept:
            click.echo(f"{folder} holds what an image of {served} is built from")
        if name:
            build(engine, name, folder)
            click.echo(f"{name} serves {served}: {engine} run --publish 8080:8080 {shlex.quote(name)}")
        else:
            click.echo(f"build it: {shlex.join(build_command(_likely_engine(engine), _SUGGESTED_NAME, folder))}")


def _write(folder: Path, uri: str, scratch: Path, options: ImageOptions) -> str:
    """Write the context and return the model's name and version."""
    from driftline.scorer.model_source import require_listening_for, resolve

    require_listening_for([uri])
    source = resolve(uri, into=scratch)
    write_context(folder, source, options)
    return f"{source.identity.name}, version {source.identity.version}"


def _likely_engine(engine: str | None) -> str:
    return engine or next((each for each in ENGINES if shutil.which(each)), ENGINES[0])
