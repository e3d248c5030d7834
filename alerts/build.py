"""Write the rules: ``python -m driftline.alerts.build``; ``--check`` fails when they are stale.

The alerts are written by hand in ``rules/``; those of the objectives follow from ``objectives.toml``. What is alike in
all of them is added here: the links to dashboard, report and runbook. ``driftline.rules.yml`` is for Prometheus,
``driftline.prometheusrule.yml`` the same for its operator in Kubernetes.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from driftline.alerts.burn_rates import alerting_rules, recording_rules
from driftline.alerts.objectives import PATH, Objectives, load_objectives

FOLDER = Path(__file__).parent
RULES = FOLDER / "driftline.rules.yml"
RESOURCE = FOLDER / "driftline.prometheusrule.yml"
PARTS = ("scorer", "capture", "monitor", "drift", "performance")
GRAFANA, MONITOR = "http://localhost:3000", "http://localhost:9108"
_HEAD = f"""\
# Alerts of driftline, for Prometheus 2.42 or newer. Made from rules/ and objectives.toml by
# `python -m driftline.alerts.build`: change those.
#
# severity: critical pages a person now, warning becomes a ticket, info stays on the dashboard. Drift alone never pages.
# Links: {GRAFANA} is Grafana, {MONITOR} the monitor. `driftline assets export` puts yours in their place;
# or replace both, here and nowhere else:
#   sed -i 's#{GRAFANA}#https://grafana.example.org#; s#{MONITOR}#https://driftline.example.org#' driftline.rules.yml
"""


class _Dumper(yaml.SafeDumper):
    """Long texts as blocks, so that a diff shows the line that changed; lists below their key; nothing by reference."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def rules_file(objectives: Objectives) -> str:
    """Return the text of ``driftline.rules.yml``."""
    return f"{_HEAD}{_yaml({'groups': _groups(objectives)})}"


def rule_resource(objectives: Objectives) -> str:
    """Return the text of ``driftline.prometheusrule.yml``: the same groups as a PrometheusRule of the operator."""
    labels = {"app.kubernetes.io/name": "driftline", "app.kubernetes.io/component": "rules"}
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "driftline", "labels": labels},
        "spec": {"groups": _groups(objectives)},
    }
    return f"{_HEAD.replace(RULES.name, RESOURCE.name)}{_yaml(resource)}"


def _yaml(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000)


def _groups(objectives: Objectives) -> list[dict[str, Any]]:
    parts = {part: yaml.safe_load((FOLDER / "rules" / f"{part}.yml").read_text(encoding="utf-8")) for part in PARTS}
    alerts = {f"driftline-{part}": rules for part, rules in parts.items()}
    alerts["driftline-objectives"] = list(alerting_rules(objectives))
    numbers = _panel_numbers(rule["alert"] for rules in alerts.values() for rule in rules)
    groups: list[dict[str, Any]] = [{"name": "driftline-ratios", "rules": list(recording_rules(objectives))}]
    for name, rules in alerts.items():
        groups.append({"name": name, "rules": [_whole(rule, numbers[rule["alert"]]) for rule in rules]})
    return groups


def _panel_numbers(alerts: Iterator[str]) -> dict[str, int]:
    """Return the number of each alert's panel on the board of runbooks: their order is that of docs/alerts.md."""
    return {alert: number for number, alert in enumerate(dict.fromkeys(alerts), start=1)}


def _whole(rule: dict[str, Any], panel: int) -> dict[str, Any]:
    """Return a rule as Prometheus takes it."""
    annotations = {
        "summary": rule["summary"],
        "description": rule["description"].strip(),
        "dashboard": f"{GRAFANA}/d/{rule['dashboard']}{_query(rule.get('variables', []))}",
    }
    if rule.get("report"):
        # A path, where a space is %20 and not +.
        name = '{{ $labels.model_name | urlquery | reReplaceAll "[+]" "%20" }}'
        annotations["report"] = f"{MONITOR}/r/{name}/report/latest"
    annotations["runbook_url"] = f"{GRAFANA}/d/driftline-runbooks?viewPanel={panel}"
    waits: dict[str, Any] = {key: rule[key] for key in ("for", "keep_firing_for") if key in rule}
    labels = {**rule.get("labels", {}), "severity": rule["severity"]}
    return {"alert": rule["alert"], "expr": rule["expr"].strip(), **waits, "labels": labels, "annotations": annotations}


def _query(variables: Sequence[str]) -> str:
    filled = "&".join(f"var-{name}={{{{ $labels.{name} | urlquery }}}}" for name in variables)
    return f"?{filled}" if filled else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with ``--check`` compare them; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m driftline.alerts.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a file is stale")
    parser.add_argument("--objectives", type=Path, default=PATH, help="what is promised")
    parser.add_argument("--output", type=Path, default=RULES, help="where the rules go; beside it the operator's")
    chosen = parser.parse_args(arguments)
    try:
        objectives = load_objectives(chosen.objectives)
    except ValueError as error:
        print(f"{chosen.objectives.name}: {error}", file=sys.stderr)
        return 2
    built = {chosen.output: rules_file(objectives), chosen.output.with_name(RESOURCE.name): rule_resource(objectives)}
    if not chosen.check:
        for path, text in built.items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path.name for path, text in built.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if stale:
        print(f"stale: {', '.join(stale)}; run `python -m driftline.alerts.build`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
