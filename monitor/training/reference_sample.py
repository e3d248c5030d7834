"""A bounded sample of the training rows, kept beside the reference: reports compare rows with rows.

The copy under ``<home>/references/`` lets a report be made while MLflow is down.
"""

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.mlflow_link import MlflowLink
from driftline.store.profile.reference import Reference
from driftline.store.records import ModelIdentity

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_FILE = "reference_sample.parquet"
SAMPLE_ROWS = 50_000
_SEED = 0


def draw_sample(data: Mapping[str, NDArray[Any]], rows: int = SAMPLE_ROWS) -> dict[str, NDArray[Any]]:
    """Return at most ``rows`` rows, drawn without replacement with a fixed seed, in their first order."""
    count = len(next(iter(data.values()))) if data else 0
    if count <= rows:
        return dict(data)
    drawn = np.sort(np.random.default_rng(_SEED).choice(count, rows, replace=False))
    return {name: cells[drawn] for name, cells in data.items()}


def write_sample(path: Path, sample: Mapping[str, NDArray[Any]]) -> None:
    """Write a sample as Parquet, whole or not at all."""
    import pandas as pd

    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    pd.DataFrame(dict(sample)).to_parquet(unfinished, index=False)
    unfinished.replace(path)


def keep_sample(home: Path, reference: Reference, sample: Mapping[str, NDArray[Any]]) -> None:
    """Keep the copy in the home."""
    path = _copy(home, reference)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sample(path, sample)


def read_sample(
    home: Path,
    link: MlflowLink,
    identity: ModelIdentity,
    reference: Reference,
    columns: Collection[str] | None = None,
) -> "pd.DataFrame | None":
    """Return the sample by column name: the copy, else MLflow's; None where there is neither.

    Args:
        columns: read only these, as far as they are there; None reads all.

    Raises:
        MlflowUnreachable: there is no copy and MLflow does not answer.
    """
    import pandas as pd
    import pyarrow.parquet as pq

    copy = _copy(home, reference)
    if not copy.exists():
        with link.published(identity, SAMPLE_FILE) as path:
            if path is None:
                return None
            _keep_file(path, copy)
    wanted = None if columns is None else [c for c in pq.read_schema(copy).names if c in set(columns)]
    return pd.read_parquet(copy, columns=wanted)


def _keep_file(path: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
    shutil.copyfile(path, unfinished)
    unfinished.replace(copy)


def _copy(home: Path, reference: Reference) -> Path:
    return home / "references" / f"{reference.made_at_us}-{reference.spec_hash[:16]}.parquet"
