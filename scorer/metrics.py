"""The scorer's ``/metrics``: what the workers counted and what their spools hold, read anew at every scrape.

Names, types, labels and meanings come from the catalogue (``store/metrics.toml``).
"""

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import accumulate
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from driftline.scorer.spool_watch import SpoolWatch, TeeState
from driftline.scorer.tally import BUCKETS_US, TallySheet, Totals
from driftline.store.metric_catalogue import CataloguedMetric, load_catalogue
from driftline.store.records import MICROSECONDS, ModelIdentity

_PREFIX = "driftline_scorer_"
_ENCODE_ERROR = "encode_error"
Samples = Iterable[tuple[Mapping[str, str], float]]
Counted = tuple[Mapping[str, str], Sequence[int], Sequence[int], int]  # labels, bounds, counts per bucket, sum


class ScorerCollector(Collector):
    """Metric families of one model, its workers and their spools."""

    def __init__(self, identity: ModelIdentity, sheet: TallySheet, watch: SpoolWatch) -> None:
        self._identity = identity
        self._sheet = sheet
        self._watch = watch
        self._catalogue = load_catalogue()
        self._name = {"model_name": identity.name}
        self._version = {**self._name, "model_version": identity.version}

    def collect(self) -> Iterator[Metric]:
        totals = self._sheet.totals()
        yield from self._about_model(totals)
        yield from self._about_requests(totals)
        yield from self._about_tee(totals, self._watch.state)

    def _about_model(self, totals: Totals) -> Iterator[Metric]:
        identity = self._identity
        build = {
            "version": version("driftline"),
            "python_version": platform.python_version(),
            "mlflow_version": version("mlflow"),
        }
        yield self._family("build_info", [(build, 1)])
        info = {**self._version, "model_alias": identity.alias or "", "flavor": identity.flavor}
        yield self._family("model_info", [(info, 1)])
        yield self._family("model_ready", [(self._name, min(totals.ready, 1))])
        yield self._family("model_loaded_timestamp_seconds", [(self._version, _seconds(totals.loaded_at_us))])
        yield self._family("model_created_timestamp_seconds", [(self._version, _seconds(identity.created_at_us or 0))])
        yield self._family("model_load_duration_seconds", [(self._name, _seconds(totals.load_duration_us))])

    def _about_requests(self, totals: Totals) -> Iterator[Metric]:
        yield self._histogram(
            "request_duration_seconds",
            [
                ({**self._version, "route": route, "code": code}, BUCKETS_US, latencies.counts, latencies.sum_us)
                for (route, code), latencies in sorted(totals.requests.items())
            ],
            MICROSECONDS,
        )
        yield self._histogram(
            "stage_duration_seconds",
            [({**self._name, "stage": s}, t.bounds, t.counts, t.sum) for s, t in totals.stages.items()],
            MICROSECONDS,
        )
        rows = totals.request_rows
        yield self._histogram("request_rows", [(self._name, rows.bounds, rows.counts, rows.sum)], 1)
        yield self._family(
            "batching_workers", [({**self._name, "state": state}, n) for state, n in totals.batching.items()]
        )
        yield self._family("requests_in_progress", [(self._name, totals.in_progress)])
        yield self._family(
            "rejected_requests_total", [({**self._name, "reason": r}, n) for r, n in totals.rejected.items()]
        )
        yield self._family("predictions_total", [(self._version, totals.rows)])
        yield self._family("last_prediction_timestamp_seconds", [(self._name, _seconds(totals.last_prediction_us))])

    def _about_tee(self, totals: Totals, state: TeeState) -> Iterator[Metric]:
        dropped = {**state.dropped, _ENCODE_ERROR: totals.tee_failed}
        results = {"enqueued": totals.enqueued, "stored": state.stored, "dropped": sum(dropped.values())}
        yield self._family("tee_records_total", [({**self._name, "result": r}, n) for r, n in results.items()])
        yield self._family("tee_dropped_records_total", [({**self._name, "reason": r}, n) for r, n in dropped.items()])
        pending = {"memory": state.in_memory, "spool": state.on_disk}
        yield self._family("tee_pending_records", [({"stage": s}, n) for s, n in pending.items()])
        yield self._family("tee_oldest_pending_timestamp_seconds", [({}, _seconds(state.oldest_pending_us))])
        yield self._family("spool_bytes", [({}, state.bytes)])
        yield self._family("spool_limit_bytes", [({}, state.limit_bytes)])
        yield self._family("spool_available_bytes", [({}, state.available_bytes)])

    def _family(self, short: str, samples: Samples) -> Metric:
        entry = self._catalogue[_PREFIX + short]
        kind: Any = CounterMetricFamily if entry.type == "counter" else GaugeMetricFamily
        family: Metric = kind(entry.name, entry.help, labels=entry.labels)
        for labels, value in samples:
            family.add_metric(_ordered(entry, labels), value)  # type: ignore[attr-defined]
        return family

    def _histogram(self, short: str, samples: Iterable[Counted], unit: int) -> Metric:
        """Return a family whose bounds and sums are divided by ``unit``."""
        entry = self._catalogue[_PREFIX + short]
        family = HistogramMetricFamily(entry.name, entry.help, labels=entry.labels)
        for labels, bounds, counts, total in samples:
            names = [*(str(bound / unit) for bound in bounds), "+Inf"]
            buckets = list(zip(names, accumulate(counts), strict=True))
            family.add_metric(_ordered(entry, labels), buckets, total / unit)
        return family


def _ordered(entry: CataloguedMetric, labels: Mapping[str, str]) -> list[str]:
    return [labels[name] for name in entry.labels]


def _seconds(microseconds: int) -> float:
    return microseconds / MICROSECONDS
