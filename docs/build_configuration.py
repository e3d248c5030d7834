"""Write docs/configuration.md from the settings' own docstrings, so that the page cannot lag behind the code.

Run ``python docs/build_configuration.py`` after a change of a settings class; a test compares.
"""

import dataclasses
import inspect
import re
from pathlib import Path

from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.multivariate.settings import MultivariateSettings
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.quality.settings import QualitySettings
from driftline.monitor.settings import MonitorSettings, ReportSettings
from driftline.scorer.proxy.settings import ProxySettings
from driftline.scorer.settings import ScorerSettings
from driftline.store.imports.settings import ImportSettings
from driftline.store.labels.settings import LabelSettings
from driftline.store.loader.settings import LoaderSettings
from driftline.store.redaction import RedactionSettings
from driftline.store.retention.settings import RetentionSettings
from driftline.store.segments.settings import SegmentSettings
from driftline.store.settings import SECTIONS, BaseSettings
from driftline.store.spool.settings import SpoolSettings

PAGE = Path(__file__).with_name("configuration.md")
CLASSES: dict[str, type] = {
    "": BaseSettings,
    "spool": SpoolSettings,
    "loader": LoaderSettings,
    "retention": RetentionSettings,
    "labels": LabelSettings,
    "imports": ImportSettings,
    "redaction": RedactionSettings,
    "scorer": ScorerSettings,
    "proxy": ProxySettings,
    "monitor": MonitorSettings,
    "report": ReportSettings,
    "drift": DriftSettings,
    "segments": SegmentSettings,
    "quality": QualitySettings,
    "multivariate": MultivariateSettings,
    "performance": PerformanceSettings,
}
_HEAD = """# Configuration

`driftline.toml` in the working directory (or the file that `DRIFTLINE_CONFIG` names), then `DRIFTLINE_*` variables,
then flags. A key or variable that driftline does not know stops the start and names the nearest one that it does.
Each command reads and checks the sections that it works with: `driftline serve` does not see a mistake in `[monitor]`.

Sizes are whole numbers of bytes (`max_bytes = 21474836480`), spans are numbers of the unit in their key's name, truths
are `true` and `false`. A key without a default is unset until it is written down.
This page is made from the code by `python docs/build_configuration.py`.
"""


def page() -> str:
    """Return the whole page."""
    if set(CLASSES) - {""} != set(SECTIONS):
        raise ValueError(f"sections {set(SECTIONS) ^ set(CLASSES)} are not told: add them to CLASSES")
    return "\n".join([_HEAD, *(_section(name, cls) for name, cls in CLASSES.items())])


def _section(name: str, cls: type) -> str:
    title = f"`[{name}]`" if name else "Top level"
    prefix = f"DRIFTLINE_{name.upper()}_" if name else "DRIFTLINE_"
    told = _attributes(cls)
    lines = [f"## {title}", "", "| key | default | variable | meaning |", "|---|---|---|---|"]
    for field in dataclasses.fields(cls):
        meaning = told[field.name].replace("``", "`").replace("|", "\\|")
        lines.append(f"| `{field.name}` | {_shown(field.default)} | `{prefix}{field.name.upper()}` | {meaning} |")
    return "\n".join([*lines, ""])


def _attributes(cls: type) -> dict[str, str]:
    """Return what the docstring's ``Attributes`` say; names that share a line share its text."""
    text = inspect.getdoc(cls) or ""
    block = text.partition("Attributes:\n")[2].split("\n\n")[0]
    told: dict[str, str] = {}
    for entry in re.split(r"\n    (?=\w)", "\n" + block)[1:]:
        names, _, meaning = entry.partition(":")
        for name in names.split(","):
            told[name.strip()] = " ".join(meaning.split())
    return told


def _shown(default: object) -> str:
    if default is None or default in ("", ()):
        return ""
    if isinstance(default, int) and not isinstance(default, bool) and default >= 1 << 20 and default % (1 << 20) == 0:
        return f"{default} ({default >> 30} GiB)" if default >> 30 else f"{default} ({default >> 20} MiB)"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
