"""The scorer's ``/metrics``: what the workers counted and what their spools hold, read anew at every scrape.

Names, types, labels and meanings come from the catalogue (``store/metrics.toml``).
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import accumulate
from typing import Any, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from driftline.scorer.loader_child import LoaderChild
from driftline.scorer.registry_watch import RegistryWatch
from driftline.scorer.rollout import Swaps
from driftline.scorer.spool_watch import SpoolWatch, TeeState
from driftline.scorer.tally import BUCKETS_US, TallySheet, Totals, sum_of
from driftline.scorer.version_book import BookedVersion, VersionBook
from driftline.store.metric_catalogue import CataloguedMetric, load_catalogue
from driftline.store.records import MICROSECONDS, Arm, ModelIdentity
from driftline.store.spool.pending_gaps import REASONS
from driftline.store.spool.record import DAMAGED

_PREFIX = "driftline_scorer_"
_ENCODE_ERROR = "encode_error"
_NO_SPOOL = "no_spool"
T = TypeVar("T")
Samples = Iterable[tuple[Mapping[str, str], float]]
Counted = tuple[Mapping[str, str], Sequence[int], Sequence[int], int]  # labels, bounds, counts per bucket, sum


class ScorerCollector(Collector):
    """Metric families of the served models, the workers and their spools.

    Counters go on for every version that was served since the start. What says what is served, and since when, is
    about the versions that a worker answers with, or that the server is starting with. What is about requests leaves
    out those that a challenger scored for nobody.
    """

    def __init__(self, book: VersionBook, registry: RegistryWatch, watch: SpoolWatch, loader: LoaderChild) -> None:
        self._book = book
        self._registry = registry
        self._watch = watch
        self._loader = loader
        self._catalogue = load_catalogue()
        self._name = {"model_name": registry.rollouts[0].proven.identity.name}

    def collect(self) -> Iterator[Metric]:
        build = {
            "version": version("driftline"),
            "python_version": platform.python_version(),
            "mlflow_version": version("mlflow"),
        }
        yield self._family("build_info", [(build, 1)])
        versions = {key: sum_of(sheets) for key, sheets in _sheets(self._book, lambda i: (i.name, i.version)).items()}
        names = {name: sum_of(sheets) for name, sheets in _sheets(self._book, lambda i: i.name).items()}
        answering = [each for each in self._book if each.arm is not Arm.SHADOW]
        asked = {name: sum_of(sheets) for name, sheets in _sheets(answering, lambda i: i.name).items()}
        yield from self._about_models(versions, names)
        yield from self._about_registry()
        yield from self._about_versions(versions)
        yield from self._about_requests(asked)
        skipped = [(_labels(name), totals.skipped) for name, totals in names.items()]
        yield self._family("shadow_skipped_requests_total", skipped)
        yield from self._about_bodies(names)
        yield from self._about_tee(sum_of(each.sheet for each in self._book), self._watch.state)
        yield from self._about_loader()

    def _about_models(
        self, versions: Mapping[tuple[str, str], Totals], names: Mapping[str, Totals]
    ) -> Iterator[Metric]:
        starting = {(i.name, i.version) for i in (rollout.proven.identity for rollout in self._registry.rollouts)}
        newest = {(each.identity.name, each.version): each.identity for each in self._book}
        served = [(newest[key], totals) for key, totals in versions.items() if totals.ready or key in starting]
        arms = {
            (each.arm.name.lower(), each.identity.name, each.version): each.identity
            for each in self._book
            if each.serving_workers or (each.identity.name, each.version) in starting
        }
        info = [
            ({**_labels(i.name, i.version), "model_alias": i.alias or "", "flavor": i.flavor, "arm": arm}, 1)
            for (arm, _, _), i in arms.items()
        ]
        loaded = [(_labels(i.name, i.version), _seconds(totals.loaded_at_us)) for i, totals in served]
        created = [(_labels(i.name, i.version), _seconds(i.created_at_us or 0)) for i, _ in served]
        yield self._family("model_info", info)
        yield self._family("model_loaded_timestamp_seconds", loaded)
        yield self._family("model_created_timestamp_seconds", created)
        yield self._family("model_ready", [(_labels(name), min(totals.ready, 1)) for name, totals in names.items()])
        durations = [(_labels(name), _seconds(totals.load_duration_us)) for name, totals in names.items()]
        yield self._family("model_load_duration_seconds", durations)

    def _about_registry(self) -> Iterator[Metric]:
        rollouts = self._registry.rollouts
        in_sync: dict[str, bool] = {}
        swaps: dict[str, Swaps] = {}
        for rollout in rollouts:
            name = rollout.proven.identity.name
            in_sync[name] = in_sync.get(name, True) and rollout.in_sync
            swaps[name] = swaps.get(name, Swaps()) + rollout.swaps
        yield self._family("model_in_sync", [(_labels(name), value) for name, value in in_sync.items()])
        results = [
            ({**_labels(name), "result": result}, getattr(count, result))
            for name, count in swaps.items()
            for result in ("success", "error")
        ]
        yield self._family("model_swaps_total", results)
        asked = self._registry.last_success_us
        yield self._family("registry_last_success_timestamp_seconds", [({}, _seconds(asked))] if asked else [])
        yield self._family("registry_interval_seconds", [({}, self._registry.poll_seconds)] if asked else [])

    def _about_versions(self, versions: Mapping[tuple[str, str], Totals]) -> Iterator[Metric]:
        yield self._histogram(
            "request_duration_seconds",
            [
                ({**_labels(*key), "route": route, "code": code}, BUCKETS_US, latencies.counts, latencies.sum_us)
                for key, totals in versions.items()
                for (route, code), latencies in sorted(totals.requests.items())
            ],
            MICROSECONDS,
        )
        yield self._predictions(versions)

    def _predictions(self, versions: Mapping[tuple[str, str], Totals]) -> Metric:
        """Return the rows by version; an exemplar leads to the run that trained the version."""
        entry = self._catalogue[_PREFIX + "predictions_total"]
        runs = {(each.identity.name, each.version): each.identity.run_id for each in self._book}
        family = CounterMetricFamily(entry.name, entry.help, labels=entry.labels)
        for key, totals in versions.items():
            run, at = runs[key], _seconds(totals.last_prediction_us)
            exemplar = Exemplar({"mlflow_run_id": run}, 1.0, at) if run and at else None
            family.add_metric(_ordered(entry, _labels(*key)), totals.rows, exemplar=exemplar)
        return family

    def _about_requests(self, names: Mapping[str, Totals]) -> Iterator[Metric]:
        yield self._histogram(
            "stage_duration_seconds",
            [
                ({**_labels(name), "stage": stage}, total.bounds, total.counts, total.sum)
                for name, totals in names.items()
                for stage, total in totals.stages.items()
            ],
            MICROSECONDS,
        )
        rows = {name: totals.request_rows for name, totals in names.items()}
        yield self._histogram("request_rows", [(_labels(n), r.bounds, r.counts, r.sum) for n, r in rows.items()], 1)
        batching = [
            ({**_labels(name), "state": state}, count)
            for name, totals in names.items()
            for state, count in totals.batching.items()
        ]
        yield self._family("batching_workers", batching)
        yield self._family("requests_in_progress", [(_labels(name), t.in_progress) for name, t in names.items()])
        rejected = [
            ({**_labels(name), "reason": reason}, count)
            for name, totals in names.items()
            for reason, count in totals.rejected.items()
        ]
        yield self._family("rejected_requests_total", rejected)
        newest = [(_labels(name), _seconds(totals.last_prediction_us)) for name, totals in names.items()]
        yield self._family("last_prediction_timestamp_seconds", newest)

    def _about_bodies(self, names: Mapping[str, Totals]) -> Iterator[Metric]:
        faults = [
            ({**_labels(name), "reason": reason}, count)
            for name, totals in names.items()
            for reason, count in totals.upstream_faults.items()
        ]
        yield self._family("upstream_errors_total", faults)
        uncopied = [(_labels(name), totals.uncopied) for name, totals in names.items()]
        yield self._family("tee_uncopied_bodies_total", uncopied)
        withheld = [(_labels(name), totals.withheld) for name, totals in names.items()]
        yield self._family("tee_withheld_invocations_total", withheld)

    def _about_tee(self, totals: Totals, state: TeeState) -> Iterator[Metric]:
        # Before the books are read a reason has no 0 that its true count, once known, would seem to have risen from.
        known = dict.fromkeys([*REASONS, DAMAGED], 0) if state.books_known else {}
        dropped = {**known, **state.dropped, _ENCODE_ERROR: totals.tee_failed, _NO_SPOOL: totals.tee_unspooled}
        results = {"enqueued": totals.enqueued, "dropped": sum(state.dropped.values())}
        if state.books_known:
            results["answered"] = state.answered
            results["stored"], results["quarantined"] = state.stored, sum(state.quarantined.values())
        yield self._family("tee_records_total", [({**self._name, "result": r}, n) for r, n in results.items()])
        set_aside = [({**self._name, "reason": r}, n) for r, n in state.quarantined.items()]
        yield self._family("tee_quarantined_records", set_aside)
        yield self._family("tee_dropped_records_total", [({**self._name, "reason": r}, n) for r, n in dropped.items()])
        pending = {"memory": state.in_memory, "spool": state.on_disk}
        yield self._family("tee_pending_records", [({"stage": s}, n) for s, n in pending.items()])
        yield self._family("tee_oldest_pending_timestamp_seconds", [({}, _seconds(state.oldest_pending_us))])
        yield self._family("spool_bytes", [({}, state.bytes)])
        yield self._family("spool_limit_bytes", [({}, state.limit_bytes)])
        yield self._family("spool_available_bytes", [({}, state.available_bytes)])

    def _about_loader(self) -> Iterator[Metric]:
        meter = self._loader.meter
        durations = meter.durations
        yield self._family("loader_up", [({}, self._loader.is_up)])
        yield self._family("loader_starts_total", [({}, self._loader.starts)])
        flushes = {"success": sum(durations.counts), "error": meter.errors}
        yield self._family("tee_flushes_total", [({"result": r}, n) for r, n in flushes.items()])
        counted: Counted = ({}, durations.bounds, durations.counts, durations.sum)
        yield self._histogram("tee_flush_duration_seconds", [counted], MICROSECONDS)
        yield self._family("tee_last_success_timestamp_seconds", [({}, _seconds(meter.last_success_us))])

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


def _sheets(book: Iterable[BookedVersion], key: Callable[[ModelIdentity], T]) -> dict[T, list[TallySheet]]:
    """Return the counters by what ``key`` says of their versions."""
    found: dict[T, list[TallySheet]] = {}
    for each in book:
        found.setdefault(key(each.identity), []).append(each.sheet)
    return found


def _labels(name: str, version: str | None = None) -> dict[str, str]:
    return {"model_name": name} if version is None else {"model_name": name, "model_version": version}


def _ordered(entry: CataloguedMetric, labels: Mapping[str, str]) -> list[str]:
    return [labels[name] for name in entry.labels]


def _seconds(microseconds: int) -> float:
    return microseconds / MICROSECONDS
