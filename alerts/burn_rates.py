"""Recording and alerting rules of the objectives, by the multi-window burn rates of the SRE workbook (chapter 5).

The error ratio of each objective is recorded over seven windows, and so is its target: an alert compares series, and a
dashboard needs no number of its own. Without requests there is no ratio.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from driftline.alerts.objectives import Objectives, Promise

WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
_REQUESTS = "driftline_scorer_request_duration_seconds"
_ROUTE = 'route="/invocations"'


@dataclass(frozen=True, slots=True)
class Burn:
    """One pair of windows: how many times faster than allowed the budget burns, and what follows from it."""

    factor: float
    long_window: str
    short_window: str
    wait: str
    severity: str
    gone_in: str


BURNS: Final = (
    Burn(14.4, "1h", "5m", "2m", "critical", "2 days"),
    Burn(6, "6h", "30m", "15m", "critical", "5 days"),
    Burn(3, "1d", "2h", "1h", "warning", "10 days"),
    Burn(1, "3d", "6h", "3h", "warning", "30 days"),
)


@dataclass(frozen=True, slots=True)
class Objective:
    """One kind of promise: how its target and its share of bad requests are written in PromQL.

    Attributes:
        slo: value of the label.
        alert: name of the alert.
        bad: what a request must not be, for people.
        target: of a promise.
        bad_ratio: of a promise, a selector of models and a window.
    """

    slo: str
    alert: str
    bad: str
    target: Callable[[Promise], float]
    bad_ratio: Callable[[Promise, str, str], str]


def _failed(_: Promise, models: str, window: str) -> str:
    every = _rate("count", window, models)
    failed = _rate("count", window, models, 'code=~"5.."')
    # Without the zero there is no ratio until the first failure.
    return f"({failed}\n  or 0 * {every})\n/ {every}"


def _slow(promise: Promise, models: str, window: str) -> str:
    good = 'code=~"2.."'
    fast = _rate("bucket", window, models, good, f'le="{promise.latency_threshold_seconds}"')
    answered = _rate("count", window, models, good)
    return f"1 - {fast}\n/ {answered}"


def _rate(series: str, window: str, *matchers: str) -> str:
    inside = ",".join(filter(None, (_ROUTE, *matchers)))
    return f"sum by (model_name) (rate({_REQUESTS}_{series}{{{inside}}}[{window}]))"


OBJECTIVES: Final = (
    Objective("availability", "DriftlineAvailabilityBurn", "failed (5xx)", lambda p: p.availability_target, _failed),
    Objective("latency", "DriftlineLatencyBurn", "were too slow", lambda p: p.latency_target, _slow),
)


def recording_rules(objectives: Objectives) -> Iterator[dict[str, Any]]:
    """Yield the targets and the error ratios of all models."""
    for objective in OBJECTIVES:
        labels = {"slo": objective.slo}
        targets = [
            f"max by (model_name) (0 * driftline_scorer_model_ready{_braced(models)}) + {objective.target(promise)}"
            for models, promise in _scopes(objectives)
        ]
        yield {"record": "driftline:slo_objective:ratio", "expr": "\nor\n".join(targets), "labels": labels}
        for window in WINDOWS:
            ratios = [objective.bad_ratio(promise, models, window) for models, promise in _scopes(objectives)]
            name = f"driftline:slo_errors:ratio_rate{window}"
            yield {"record": name, "expr": "\nor\n".join(ratios), "labels": labels}


def alerting_rules(objectives: Objectives) -> Iterator[dict[str, Any]]:
    """Yield the alerts, in the form of the hand-written parts."""
    for objective in OBJECTIVES:
        for burn in BURNS:
            yield {
                "alert": objective.alert,
                "expr": _burning(objective, burn, objectives.min_requests),
                "for": burn.wait,
                "severity": burn.severity,
                "labels": {"slo": objective.slo, "long_window": burn.long_window},
                "summary": f"{{{{ $labels.model_name }}}} burns its {objective.slo} budget at "
                f"{burn.factor:g} times the sustainable pace",
                "description": (
                    f"{{{{ $value | humanizePercentage }}}} of the requests of the last {burn.long_window} "
                    f"{objective.bad}. At this pace the budget of 30 days is gone in {burn.gone_in}."
                ),
                "dashboard": "driftline-model",
                "variables": ["model_name"],
                "report": True,
            }


def _burning(objective: Objective, burn: Burn, min_requests: int) -> str:
    allowed = f'{burn.factor:g} * (1 - driftline:slo_objective:ratio{{slo="{objective.slo}"}})'

    def ratio(window: str) -> str:
        return f'driftline:slo_errors:ratio_rate{window}{{slo="{objective.slo}"}}'

    requests = f"sum by (model_name) (increase({_REQUESTS}_count{{{_ROUTE}}}[{burn.long_window}]))"
    return (
        f"({ratio(burn.long_window)} > on (model_name, slo) {allowed})\n"
        f"and on (model_name)\n({ratio(burn.short_window)} > on (model_name, slo) {allowed})\n"
        f"and on (model_name)\n({requests} >= {min_requests})"
    )


def _scopes(objectives: Objectives) -> Iterator[tuple[str, Promise]]:
    """Yield a selector of models (empty: all) with their promise; each model is in one."""
    own = "|".join(re.escape(name) for name in objectives.models)
    yield f"model_name!~{_quoted(own)}" if own else "", objectives.default
    for name, promise in objectives.models.items():
        yield f"model_name={_quoted(name)}", promise


def _braced(models: str) -> str:
    return f"{{{models}}}" if models else ""


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
