"""A replay as a run in MLflow: in the experiment ``driftline/<model>``, linked to the version that was asked.

Every replay is a run of its own: what is asked again after more traffic is another answer, and both are kept.
"""

import csv
import tempfile
from pathlib import Path
from typing import Any

from driftline.monitor.mlflow_link import MlflowLink
from driftline.monitor.mlflow_run_parts import experiment_of, log_metrics, log_window, metric_key
from driftline.monitor.replay.page import render
from driftline.monitor.replay.replay import Replay, to_json

KIND_TAG = "driftline.kind"
_TAG_CHARACTERS = 4_000  # MLflow's own limit is 5,000


def log_replay(link: MlflowLink, replay: Replay) -> str:
    """Log the replay, tag the version with what it came to, and return the run's id.

    Raises:
        MlflowUnreachable: MLflow refuses or does not answer.
    """
    link.require_listening()  # it may have gone while rows were answered; its client would try for minutes
    asked, content = replay.asked, replay.content
    verdict = content["verdict"][:_TAG_CHARACTERS]
    with link.talking():
        client = link.client
        tags = {
            KIND_TAG: "replay",
            "driftline.model_name": asked.name,
            "driftline.model_version": asked.version,
            "driftline.replay.of": replay.answered_by.label,
            "driftline.replay.window": f"{content['window']['start']} to {content['window']['end']}",
            "driftline.replay": verdict,
        }
        name = f"replay of {replay.answered_by.label} on version {asked.version}"
        run = client.create_run(experiment_of(client, asked.name), tags=tags, run_name=name)
        run_id = str(run.info.run_id)
        window = log_window(
            client, run_id, replay.answered_by.identity, replay.window, content["window"], asked.model_id
        )
        log_metrics(client, run_id, asked.model_id, window, metrics(content))
        with tempfile.TemporaryDirectory(prefix="driftline-") as folder:
            _write_artifacts(Path(folder), replay)
            client.log_artifacts(run_id, folder)
        client.set_terminated(run_id)
    link.set_tags(
        asked,
        {
            "driftline.replay": verdict,
            "driftline.replay.run": run_id,
            "driftline.replay.of": replay.answered_by.label,
            "driftline.replay.made_at": content["made_at"],
        },
    )
    return run_id


def metrics(content: dict[str, Any]) -> dict[str, float | None]:
    """Return the numbers of a replay by their name in MLflow; None for those that it has not."""
    found, timing = content["disagreement"], content["timing"] or {}
    low, high = found["share_interval"] or (None, None)
    values: dict[str, float | None] = {
        "replay.rows": found["rows"],
        "replay.failed_rows": found["failed_rows"],
        "replay.disagreement": found["share"],
        "replay.disagreement_low": low,
        "replay.disagreement_high": high,
        "replay.predict_ms": timing.get("median"),
        "replay.recorded_predict_ms": timing.get("recorded_median"),
    }
    for output in content["outputs"]:
        key = metric_key(output["output"])
        values[f"replay.disagreement.{key}"] = output["share"]
        for name in ("mean_absolute", "p95_absolute", "bias", "correlation"):
            values[f"replay.{name}.{key}"] = output.get(name)
    for side in ("recorded", "training"):
        for drift in content["prediction_drift"][f"against_{side}"] or []:
            values[f"replay.drift_from_{side}.{metric_key(drift['output'])}"] = drift["score"]
    performance = content["performance"] or {"rows": None, "metrics": {}}
    values["replay.labelled_rows"] = performance["rows"]
    for name, metric in performance["metrics"].items():
        values |= {
            f"replay.{name}": metric["asked"],
            f"replay.{name}_recorded": metric["recorded"],
            f"replay.{name}_difference": metric["difference"],
            f"replay.{name}_difference_low": metric["difference_interval"][0],
            f"replay.{name}_difference_high": metric["difference_interval"][1],
        }
    return values


def _write_artifacts(folder: Path, replay: Replay) -> None:
    (folder / "replay.json").write_bytes(to_json(replay.content))
    (folder / "replay.html").write_text(render(replay.content), encoding="utf-8")
    with (folder / "differing.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["invocation_id", "row", "received_at", "difference"])
        table.writeheader()
        table.writerows(replay.differing)
