"""The demo as a newcomer runs it; every claim of the README's first command."""

import json
import signal
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import servers

PLAN = {"lncoins", "lpi", "fmde"}
HEALTH = {"physlm", "disea", "hlthg", "hlthf", "hlthp"}
REQUESTS = 2 * (600 + 240) + 3

pytestmark = [pytest.mark.timeout(600), pytest.mark.thorough]


@dataclass(frozen=True)
class Demo:
    folder: Path
    printed: str

    def verdicts(self, phase: str) -> dict[str, str]:
        found = json.loads((self.folder / f"{phase}-drift.json").read_text())
        return {column["column"]: column["verdict"] for column in found["columns"]}

    def performance(self, phase: str, *, estimated: bool) -> dict[str, Any]:
        """Return the metrics of a phase by name."""
        (arm,) = json.loads((self.folder / f"{phase}-performance.json").read_text())["arms"]
        return {each["metric"]: each for each in arm["metrics"] if each["estimated"] is estimated}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo") / "driftline-demo"
    command = [Path(sys.executable).with_name("driftline"), "demo", "--exit", "--folder", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder.parent)
    logs = "".join(f"== {log.name}\n{log.read_text()[-2000:]}\n" for log in sorted((folder / "logs").glob("*.log")))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    return Demo(folder, done.stdout)


def test_the_first_phase_reports_no_drift(demo: Demo) -> None:
    verdicts = demo.verdicts("first-phase")
    assert verdicts.keys() >= PLAN | HEALTH | {"idp", "prediction", "probability"}
    assert set(verdicts.values()) == {"no drift"}


def test_the_second_phase_reports_the_columns_that_really_moved(demo: Demo) -> None:
    verdicts = demo.verdicts("second-phase")
    assert {name for name in PLAN | HEALTH if verdicts[name] == "drift"} == PLAN


@pytest.mark.parametrize("phase", ["first-phase", "second-phase"])
def test_the_labels_show_what_was_estimated_without_them(demo: Demo, phase: str) -> None:
    estimated, realised = (demo.performance(phase, estimated=each) for each in (True, False))
    for name in ("roc_auc", "accuracy"):
        assert estimated[name]["low"] <= realised[name]["value"] <= estimated[name]["high"]
        assert (realised[name]["labelled_rows"], realised[name]["window"]["rows"]) == (3_000, 3_000)
    assert "no labels yet" in demo.printed


def test_every_request_is_in_the_store(demo: Demo) -> None:
    with sqlite3.connect(demo.folder / "home" / "driftline.sqlite") as store:
        by_status = dict(store.execute("select status, count(*) from invocation group by status"))
        (rows,) = store.execute("select count(*) from inference_doctor_visits").fetchone()
    assert by_status == {200: REQUESTS - 3, 400: 3}
    assert rows == 6_000


def test_the_end_names_the_urls_and_the_gauges(demo: Demo) -> None:
    for line in ("scoring", "drift metrics", "MLflow", "driftline_monitor_feature_drift_detected", "driftline drift"):
        assert line in demo.printed


def test_the_report_is_a_run_in_mlflow(demo: Demo) -> None:
    with sqlite3.connect(demo.folder / "mlflow.sqlite") as tracking:
        names = [name for (name,) in tracking.execute("select name from experiments")]
    assert "driftline/doctor-visits" in names


def test_nothing_outlives_the_demo(demo: Demo) -> None:
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(demo.folder) not in processes


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    command = [Path(sys.executable).with_name("driftline"), "demo", "--exit", "--folder", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--folder" in done.stderr
    assert (tmp_path / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_twice_in_its_midst_says_so_and_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    folder, errors = tmp_path / "demo", tmp_path / "errors"
    command = [Path(sys.executable).with_name("driftline"), "demo", "--folder", folder]
    with errors.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        servers.wait_until(lambda: "demo --train-only" in errors.read_text(), seconds=120, what="MLflow is not up")
        process.send_signal(number)
        servers.wait_until(lambda: "stopping" in errors.read_text(), seconds=60)
        process.send_signal(number)
        assert process.wait(120) == 130
    assert "Aborted!" not in errors.read_text()
    assert errors.read_text().endswith("driftline: the demo was stopped before its end\n")
    left = [path for path in Path("/proc").glob("[0-9]*/environ") if _names(path, folder)]
    assert left == []


def _names(environment: Path, folder: Path) -> bool:
    try:
        return str(folder).encode() in environment.read_bytes()
    except OSError:
        return False
