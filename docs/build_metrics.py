"""Write docs/metrics.md from the catalogue (``store/metrics.toml``), so that the page cannot lag behind the code.

Run ``python docs/build_metrics.py`` after a change of the catalogue; a test compares.
"""

from pathlib import Path

from driftline.store.metric_catalogue import CataloguedMetric, Component, load_catalogue

PAGE = Path(__file__).with_name("metrics.md")
_HEAD = """# Metrics

The scorer's stand on its own port (`driftline serve --metrics-port`, 9107), the monitor's on `/metrics` of its pages
(9108). Both speak the classic text format and OpenMetrics, whichever the scraper asks for. This page is made from the
catalogue by `python docs/build_metrics.py`; a test compares the catalogue with what both servers export.

- **Names** do not change within a major version. Labels come from bounded sets; `feature` is limited by `[monitor]
  max_features`, and the rest is counted in `driftline_monitor_features{state="dropped"}`.
- **Timestamps, not ages**: `time() - driftline_..._timestamp_seconds`. 0 means never; filter with `> 0`.
- **A score has its threshold, its verdict, its rows and the span of its window beside it**, under the same labels.
- **Gauges of results** are read from the store at a scrape: they survive a restart of the monitor, and a version that
  is not watched any more has none.
- **Counters of the scorer** are kept in memory of the parent process: they add up all workers, and a worker or a
  loader that is killed takes none with it. They begin anew with the server; `tee_records_total` and
  `tee_dropped_records_total` go on with the home. Several scorers are several `instance`s: `sum by (model_name)`.
- **Exemplars** (OpenMetrics, Prometheus with `--enable-feature=exemplar-storage`): `mlflow_run_id` on
  `driftline_scorer_predictions_total` leads to the run that trained the version, on
  `driftline_monitor_job_duration_seconds` to the run that a report made.
- The monitor has `process_*` too. The scorer has not: they would be about the parent, which scores nothing.
- There is no metric of configuration reloads: settings are read once, at the start.

With `export_bins = true` (`[monitor]`) columns have the shares of their bins, `dataset="reference"` beside
`"current"`. Bins of a number: `00_below` what training held, `01` to `10` of about a tenth of it each (fewer distinct
values: one each), the last is `above`. Of categories: the nine most frequent, `97_other`, `98_unseen`. `99_missing`
in either.
"""
_COMPONENTS: dict[Component, str] = {"scorer": "Scorer", "monitor": "Monitor"}


def page() -> str:
    """Return the whole page: what is exported; names that are only reserved are not told."""
    metrics = [metric for metric in load_catalogue().values() if metric.exported]
    return "\n".join([_HEAD, *(_section(name, title, metrics) for name, title in _COMPONENTS.items())])


def _section(component: Component, title: str, metrics: list[CataloguedMetric]) -> str:
    lines = [f"## {title}", "", "| metric | type | labels | meaning |", "|---|---|---|---|"]
    for metric in metrics:
        if metric.name.startswith(f"driftline_{component}_"):
            labels = ", ".join(f"`{label}`" for label in metric.labels)
            meaning = metric.help.replace("|", "\\\\|")
            lines.append(f"| `{metric.name}` | {metric.type} | {labels} | {meaning} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
