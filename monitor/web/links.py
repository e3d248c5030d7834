"""Where things are found: the pages' own paths, and MLflow's web pages.

A name is one percent-encoded segment of a path. Servers hand paths over decoded, so a path is read back by asking
which of the known names it may mean: names with slashes need no encoding that a proxy could undo.
"""

from collections.abc import Iterable
from urllib.parse import quote, urlencode

from driftline.monitor.jobs.job import JobContext
from driftline.store.records import ModelIdentity

_COLUMNS = "/columns/"


def model_path(model: str, **query: object) -> str:
    """Return the path of a model's page; what is None is left out of the query."""
    return f"/models/{quote(model, safe='')}{_query(query)}"


def column_path(model: str, column: str, **query: object) -> str:
    """Return the path of a column's page."""
    return f"/models/{quote(model, safe='')}{_COLUMNS}{quote(column, safe='')}{_query(query)}"


def report_path(model: str) -> str:
    """Return the path that leads on to the MLflow run of a model's newest report."""
    return f"/r/{quote(model, safe='')}/report/latest"


def split_path(rest: str, models: Iterable[str]) -> tuple[str, str | None] | None:
    """Return the model that ``rest`` (a path below ``/models/``, decoded) means, and the column where it means one.

    Args:
        rest: ``name`` or ``name/columns/column``.
        models: the known names; of several that fit, the longest one is meant.
    """
    known = set(models)
    if rest in known:
        return rest, None
    fitting = [name for name in known if rest.startswith(name + _COLUMNS)]
    if not fitting:
        return None
    model = max(fitting, key=len)
    return model, rest.removeprefix(model + _COLUMNS)


def mlflow_url(context: JobContext) -> str | None:
    """Return the address of MLflow's web pages, or None where it has none."""
    base = context.monitor.mlflow_url or context.link.shown_uri
    return base.rstrip("/") if base.startswith(("http://", "https://")) else None


def mlflow_links(context: JobContext, identity: ModelIdentity) -> dict[str, str | None]:
    """Return the addresses in MLflow of a version that is registered there, and of the run that made it."""
    base = mlflow_url(context)
    registered = base and identity.uri.startswith("models:/") and identity.version.isdecimal()
    page = f"{base}/#/models/{quote(identity.name, safe='')}/versions/{identity.version}" if registered else None
    return {
        "mlflow_model_version": page,
        "mlflow_run": f"/run/{quote(identity.run_id, safe='')}" if base and identity.run_id else None,
    }


def _query(values: dict[str, object]) -> str:
    given = {name: value for name, value in values.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""
