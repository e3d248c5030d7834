"""MLflow's answers sooner: requests whose frame and answer are certain to equal MLflow's own."""

from driftline.scorer.fast_path.fast_path import FastPath, Verdict
from driftline.scorer.fast_path.frame import Frame

__all__ = ["FastPath", "Frame", "Verdict"]
