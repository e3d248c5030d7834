"""What the workers' histograms measure: the stages of a request, and the bounds of their buckets."""

from typing import Literal, get_args

Stage = Literal["parse", "predict", "encode", "tee"]
STAGES: tuple[Stage, ...] = get_args(Stage)

STAGE_BUCKETS_US = (
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 60_000_000,
)  # fmt: skip
ROW_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 100_000)
