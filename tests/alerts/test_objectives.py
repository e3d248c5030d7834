"""The rules of the objectives: each pair of windows at its pace, promises of single models, mistakes in the file."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from rule_cases import promtool

from driftline.alerts import build
from driftline.alerts.burn_rates import BURNS, OBJECTIVES, Burn
from driftline.alerts.objectives import BOUNDS_SECONDS, PATH, Objectives, Promise, load_objectives
from driftline.scorer.tally import BUCKETS_US

pytestmark = pytest.mark.prometheus
HOURS = {"1h": 1, "6h": 6, "1d": 24, "3d": 72}
REQUESTS = "driftline_scorer_request_duration_seconds"


def test_the_committed_rules_are_what_the_objectives_and_the_parts_say(capsys: Any, tmp_path: Path) -> None:
    assert build.main(["--check"]) == 0
    assert build.main(["--output", str(tmp_path / "rules.yml")]) == 0
    assert build.main(["--check", "--output", str(tmp_path / "rules.yml")]) == 0
    (tmp_path / "rules.yml").write_text("groups: []")
    assert build.main(["--check", "--output", str(tmp_path / "rules.yml")]) == 1
    assert "stale: rules.yml" in capsys.readouterr().err


def test_the_thresholds_to_choose_from_are_the_histograms_bounds() -> None:
    assert tuple(bound / 1e6 for bound in BUCKETS_US) == BOUNDS_SECONDS


def case(burn: Burn, slo: str, bad_share: float, fires: bool) -> dict[str, Any]:
    """A steady share of 1000 requests a step is bad, for longer than the alert waits: every window holds that share."""
    step, steps = (5, 60) if HOURS[burn.long_window] >= 24 else (1, 40)
    bad = 1000 * bad_share
    labels = 'model_name="m",route="/invocations"'
    series = {
        "driftline_scorer_model_ready{model_name='m'}".replace("'", '"'): f"1x{steps}",
        f'{REQUESTS}_count{{{labels},code="200"}}': f"0+{1000 if slo == 'latency' else 1000 - bad:g}x{steps}",
        f'{REQUESTS}_count{{{labels},code="500"}}': f"0+{0 if slo == 'latency' else bad:g}x{steps}",
        f'{REQUESTS}_bucket{{{labels},code="200",le="0.25"}}': f"0+{1000 - bad:g}x{steps}",
    }
    alert = next(o.alert for o in OBJECTIVES if o.slo == slo)
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing",long_window="{burn.long_window}"}})'
    samples = [{"labels": "{}", "value": 1}] if fires else []
    return {
        "interval": f"{step}m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": firing, "eval_time": f"{steps * step}m", "exp_samples": samples}],
    }


@pytest.mark.parametrize("slow", [False, True], ids=["windows of hours", "windows of days"])
def test_each_pair_of_windows_fires_just_above_its_pace_and_not_just_below(tmp_path: Path, slow: bool) -> None:
    promise = load_objectives().default
    tests = []
    for burn in [each for each in BURNS if (HOURS[each.long_window] >= 24) == slow]:
        for objective in OBJECTIVES:
            allowed = burn.factor * (1 - objective.target(promise))
            tests += [case(burn, objective.slo, allowed * share, share > 1) for share in (1.05, 0.95)]
    groups = [group for group in yaml.safe_load(build.RULES.read_text())["groups"]
              if group["name"] in ("driftline-ratios", "driftline-objectives")]  # fmt: skip
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": groups}))
    every = "5m" if slow else "1m"
    content = {"rule_files": ["rules.yml"], "evaluation_interval": every, "tests": tests}
    (tmp_path / "cases.yml").write_text(yaml.safe_dump(content))
    tested = promtool("test", "rules", tmp_path / "cases.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_a_model_with_its_own_promise_is_judged_by_it_and_others_by_the_default(tmp_path: Path) -> None:
    default = load_objectives().default
    strict = Promise(availability_target=0.9999, latency_target=0.5, latency_threshold_seconds=1.0)
    own = 'a "b"\\c.d|e'
    (tmp_path / "rules.yml").write_text(build.rules_file(Objectives(default, {own: strict}, min_requests=1)))
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", tmp_path / "rules.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    quoted = own.replace("\\", "\\\\").replace('"', '\\"')
    series = {}
    for name in (quoted, "axbxc"):
        series[f'driftline_scorer_model_ready{{model_name="{name}"}}'] = "1x60"
        for le, fast in (("0.25", 0), ("1.0", 90)):
            labels = f'model_name="{name}",route="/invocations",code="200",le="{le}"'
            series[f"{REQUESTS}_bucket{{{labels}}}"] = f"0+{fast}x60"
        series[f'{REQUESTS}_count{{model_name="{name}",route="/invocations",code="200"}}'] = "0+100x60"
    ratio, target = "driftline:slo_errors:ratio_rate30m", "driftline:slo_objective:ratio"
    expected = {
        f'{ratio}{{slo="latency",model_name="{quoted}"}}': 1_000,
        f'{ratio}{{slo="latency",model_name="axbxc"}}': 10_000,
        f'{target}{{slo="availability",model_name="{quoted}"}}': 9_999,
        f'{target}{{slo="availability",model_name="axbxc"}}': 9_990,
    }
    checks = [{"expr": f"round(10000 * {name})", "eval_time": "50m",
               "exp_samples": [{"labels": name[name.index("{"):], "value": value}]}
              for name, value in expected.items()]  # fmt: skip
    tests = [{"interval": "1m", "promql_expr_test": checks,
              "input_series": [{"series": name, "values": values} for name, values in series.items()]}]  # fmt: skip
    content = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "cases.yml").write_text(yaml.safe_dump(content))
    tested = promtool("test", "rules", tmp_path / "cases.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("target = 0.999", "target = 99.9", "availability_target should be a share between 0 and 1, found 99.9"),
        ("threshold_seconds = 0.25", "threshold_seconds = 0.3", "latency_threshold_seconds should be one of 0.001"),
        ("threshold_seconds", "treshold_seconds", "[latency] does not know treshold_seconds"),
        ("min_requests = 100", "", "[traffic] lacks min_requests"),
        ("[traffic]", '[models."m"]\nlatency = 1\n[traffic]', "does not know latency"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_that_names_it(
    tmp_path: Path, capsys: Any, right: str, wrong: str, said: str
) -> None:
    path = tmp_path / "objectives.toml"
    path.write_text(PATH.read_text().replace(right, wrong, 1))
    assert build.main(["--objectives", str(path), "--output", str(tmp_path / "rules.yml")]) == 2
    assert said in capsys.readouterr().err


def test_a_promise_for_one_model_takes_the_rest_from_the_default(tmp_path: Path) -> None:
    path = tmp_path / "objectives.toml"
    path.write_text(PATH.read_text() + '\n[models."churn"]\nlatency_threshold_seconds = 1\n')
    objectives = load_objectives(path)
    assert objectives.models["churn"].latency_threshold_seconds == 1.0
    assert objectives.models["churn"].availability_target == objectives.default.availability_target
