"""How many threads the numerical libraries of one worker start.

OpenMP and the BLAS libraries each take all cores they see, and several workers that all do so wait for one another. A
library reads its variable when it is loaded, so the variables are set before the worker starts.
"""

import os
from collections.abc import Mapping

VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def native_thread_limits(workers: int, environ: Mapping[str, str], cores: int | None = None) -> dict[str, str]:
    """Return the variables to set for each of ``workers``: its share of the cores, where the user has set none.

    Args:
        cores: None means those that this process may use.
    """
    if workers == 1:
        return {}
    cores = cores or _usable_cores()
    return {name: str(max(1, cores // workers)) for name in VARIABLES if name not in environ}


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
