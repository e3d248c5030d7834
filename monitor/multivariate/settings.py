"""What the user may set of the multivariate check; section ``multivariate``."""

from dataclasses import dataclass

from driftline.store.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class MultivariateSettings:
    """Settings of the section ``multivariate``.

    Attributes:
        enabled: whether the check is made at all.
        interval_seconds: pause between two runs.
        window_seconds: span of live data, up to now, that rows are drawn from.
        sample_rows: at most so many rows a side.
        min_rows: fewer live rows get no verdict.
        max_columns: of more inputs so many are drawn, others each time.
        auc_threshold: how well live rows must be told from training rows to be drift; 0.5 is chance, 1 always.
        z_threshold: and how many standard deviations that must lie above chance.
        ignored_columns: inputs that say nothing, such as row numbers; names separated by commas.
        timeout_seconds: for one run.
    """

    enabled: bool = True
    interval_seconds: float = 3600.0
    window_seconds: float = 86_400.0
    sample_rows: int = 5_000
    min_rows: int = 300
    max_columns: int = 200
    auc_threshold: float = 0.55
    z_threshold: float = 4.0
    ignored_columns: str = ""
    timeout_seconds: float = 120.0

    def __post_init__(self) -> None:
        if not 0.5 < self.auc_threshold < 1 or self.z_threshold <= 0:
            raise ConfigurationError(
                "auc_threshold should lie between 0.5 and 1 and z_threshold above 0: correct section [multivariate]"
            )
        if self.min_rows < 100 or self.sample_rows < self.min_rows or self.max_columns < 2:
            raise ConfigurationError(
                "min_rows should be at least 100, sample_rows at least min_rows and max_columns at least 2: "
                "correct section [multivariate]"
            )
        if min(self.interval_seconds, self.window_seconds, self.timeout_seconds) <= 0:
            raise ConfigurationError("spans should be more than 0: correct section [multivariate]")

    def ignored(self) -> frozenset[str]:
        """Return ``ignored_columns`` as names."""
        return frozenset(name.strip() for name in self.ignored_columns.split(",") if name.strip())
