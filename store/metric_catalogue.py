"""The metric catalogue: names, types, labels and meanings of all series, read from ``metrics.toml``.

TOML, because the base install reads it with the standard library alone.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from prometheus_client import Metric as MetricFamily

Component = Literal["scorer", "monitor"]
HISTOGRAM_SUFFIXES = ("_bucket", "_sum", "_count")


@dataclass(frozen=True, slots=True)
class CataloguedMetric:
    """One metric.

    Attributes:
        name: as a query writes it: counters end in ``_total``, histograms have no suffix.
        type: counter, gauge or histogram.
        labels: the label names, without those that Prometheus adds (job, instance, le).
        help: one sentence.
        exported: whether an endpoint shows it today; else the name is reserved.
        optional: whether a setting must ask for it.
    """

    name: str
    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    exported: bool = False
    optional: bool = False

    @property
    def series_names(self) -> tuple[str, ...]:
        """The names of its series: three for a histogram, one else."""
        return tuple(self.name + suffix for suffix in HISTOGRAM_SUFFIXES) if self.type == "histogram" else (self.name,)


def load_catalogue() -> dict[str, CataloguedMetric]:
    """Return all metrics of both components by name."""
    document = tomllib.loads(files("driftline.store").joinpath("metrics.toml").read_text(encoding="utf-8"))
    return {
        name: CataloguedMetric(name=name, **{**entry, "labels": tuple(entry["labels"])})
        for metrics in document.values()
        for name, entry in metrics.items()
    }


def catalogue_mismatches(
    component: Component, families: Iterable[MetricFamily], catalogue: Mapping[str, CataloguedMetric] | None = None
) -> list[str]:
    """Return what an endpoint and the catalogue disagree on, one sentence each; empty means they agree.

    Args:
        component: whose endpoint it is; families of other origin (``python_*``, ``process_*``) are passed over.
        families: the parsed page (``prometheus_client.parser.text_string_to_metric_families``).
        catalogue: what to hold against it; None reads the shipped one.
    """
    prefix = f"driftline_{component}_"
    known = {n: m for n, m in (catalogue or load_catalogue()).items() if n.startswith(prefix)}
    found: set[str] = set()
    wrong: list[str] = []
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if not name.startswith(prefix):
            continue
        found.add(name)
        if name not in known:
            wrong.append(f"{name} is exported and not in the catalogue")
            continue
        metric = known[name]
        if family.type != metric.type:
            wrong.append(f"{name} is exported as {family.type}, the catalogue says {metric.type}")
        if not metric.exported:
            wrong.append(f"{name} is exported, the catalogue says it is not yet")
        labels = {frozenset(sample.labels) - {"le"} for sample in family.samples}
        wrong.extend(
            f"{name} has the labels {sorted(each)}, the catalogue says {sorted(metric.labels)}"
            for each in sorted(labels, key=sorted)
            if each != set(metric.labels)
        )
    missing = sorted(
        name for name, metric in known.items() if metric.exported and not metric.optional and name not in found
    )
    return wrong + [f"{name} is in the catalogue as exported and not on the page" for name in missing]
