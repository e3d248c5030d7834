"""``driftline reference``: build and show the training reference of a model version."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from driftline.cli.base_options import base_options
from driftline.cli.progress import progress_bar
from driftline.store.settings import BaseSettings

if TYPE_CHECKING:
    from driftline.store.profile.reference import Reference


@click.group()
def reference() -> None:
    """Build a model's training reference."""


@reference.command()
@click.argument("model_uri")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The training data: FILE.parquet or FILE.csv; without it, MLflow is asked for them.",
)
@click.option(
    "--to-mlflow/--store-only",
    default=True,
    show_default=True,
    help="Whether to keep it beside the model in MLflow too.",
)
@click.option(
    "--labels",
    "--label-column",
    help="The column of the data that holds what was to be predicted: shows what the model uses and how well it does.",
)
@click.option(
    "--performance-data",
    type=click.Path(path_type=Path),
    help="Rows the model was not fitted to, with the column of labels: performance is measured on them.",
)
@click.option(
    "--importances",
    type=click.Path(path_type=Path),
    help="How much the model relies on each input: a JSON object of numbers; without it, the model is asked.",
)
@base_options
def build(
    base: BaseSettings,
    model_uri: str,
    data: Path | None,
    to_mlflow: bool,
    labels: str | None,
    performance_data: Path | None,
    importances: Path | None,
) -> None:
    """Reduce training data to the reference of MODEL_URI.

    It goes into the store, and beside the model in MLflow. Drifted columns are ranked by how much the model relies on
    them: by --importances, else by what a scikit-learn fit left behind, else by shuffling columns with --labels.
    """
    from driftline.cli.job_context import open_context
    from driftline.monitor.training import reference as references
    from driftline.monitor.training import training_data
    from driftline.store.errors import ConfigurationError
    from driftline.store.redaction import load_redaction

    if performance_data is not None and labels is None:
        raise ConfigurationError("--performance-data needs the column of labels: name it by --labels COLUMN")
    context = open_context(base)
    given = None if importances is None else training_data.read_importances(importances)
    identity = context.link.resolve(model_uri)
    found = training_data.find(context.link, identity, data)
    held_out = None if performance_data is None else training_data.find(context.link, identity, performance_data).frame
    click.echo(f"{len(found.frame)} rows from {found.source}")
    with progress_bar(len(found.frame), "the model's answers") as bar:
        built = references.build(
            context.link,
            identity,
            found.frame,
            found.source,
            labels=labels,
            importances=given,
            held_out=held_out,
            performance=context.performance,
            segments=context.segments,
            drift=context.drift,
            redaction=load_redaction(),
            progress=bar.update,
        )
    click.echo(
        f"reference of {identity.name} version {identity.version}: {len(built.reference.columns)} columns, "
        f"outputs {built.outputs_from}"
    )
    give = "--labels COLUMN or --importances FILE" if labels is None else "--importances FILE"
    unknown = f"not known: give {give} to rank drifted columns by them"
    click.echo(f"importances {built.reference.importances_from or unknown}")
    click.echo(performance_line(built.reference, built.no_performance))
    for segmented in built.reference.segments:
        click.echo(f"segments of {segmented.column.name}: {', '.join(segmented.parts)}")
    profiled = references.save(context.engine, built, context.home)
    click.echo(f"saved to the store; {profiled} rows that were there already are profiled")
    if to_mlflow:
        place = references.publish(context.link, built)
        click.echo(f"logged to MLflow: {place}" if place else f"not logged to MLflow: {references.no_run(identity)}")


@reference.command()
@click.argument("model")
@base_options
def show(base: BaseSettings, model: str) -> None:
    """Show the reference in force of MODEL.

    MODEL is a name, name/version or models:/name/version.
    """
    from driftline.cli.job_context import open_context
    from driftline.monitor.training.reference import require
    from driftline.monitor.watch import find_version
    from driftline.store.records import iso

    context = open_context(base, create=False)
    with context.engine.connect() as connection:
        version = find_version(connection, model, since_us=0)
    found = require(context.engine, context.link, version)
    click.echo(
        f"{version.label}: {found.row_count} rows of {found.source}, made {iso(found.made_at_us)}, "
        f"bins {found.spec_hash[:12]}"
    )
    for profiled in found.profiled:
        column = profiled.column
        cut = f"{len(profiled.bins.edges)} edges" if profiled.bins else f"{len(profiled.categories or ())} categories"
        share = (found.importances or {}).get(column.column_name)
        relied_on = "" if share is None else f", importance {share:.1%}"
        click.echo(f"  {column.side:<6}  {column.name}  {column.type}  {profiled.kind}, {cut}{relied_on}")
    for segmented in found.segments:
        rows = ", ".join(f"{name} {part.rows}" for name, part in segmented.parts.items())
        click.echo(f"  segments of {segmented.column.name}, training rows: {rows}")
    unknown = "it was built without --labels COLUMN, or what they mean was not clear: then building it again says why"
    click.echo(performance_line(found, unknown))


def performance_line(reference: "Reference", otherwise: str) -> str:
    """Return what the model did on labelled rows of a reference, or what to do where that is not known."""
    from driftline.monitor.drift.phrases import number
    from driftline.monitor.performance.reference_performance import performance_of

    found = performance_of(reference)
    if found is None:
        return f"performance not known: {otherwise}"
    metrics = ", ".join(f"{name} {number(metric.value)}" for name, metric in found.metrics.items())
    optimistic = ", which a model does better on than on others" if "training" in found.source else ""
    return f"performance on {found.source}{optimistic}: {metrics}"
