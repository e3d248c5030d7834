"""The addresses in the shipped files, and the user's that take their place.

The shipped ones are right for compose.yaml; each is unmistakable, so that one pass over a text finds them all.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from driftline.store.errors import ConfigurationError

WEBHOOKS = "http://localhost:9099"
HEARTBEAT = f"{WEBHOOKS}/heartbeat"  # the dead man's switch goes to a service that misses it, never to people
_TARGET = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
_URL = re.compile(r"https?://[A-Za-z0-9._~:/\[\]%-]+")
_WEBHOOK_BLOCK = re.compile(
    rf"^( *)webhook_configs:\n(?:\1(?: +|- ).*\n)*?\1 *- url: {WEBHOOKS}/(?!heartbeat).*\n(?:\1 +.*\n)*", re.M
)


@dataclass(frozen=True)
class Slack:
    """A Slack channel; ``url_file`` holds the secret address of the webhook, as Alertmanager sees the path."""

    channel: str
    url_file: Path


@dataclass(frozen=True)
class Addresses:
    """Where things are, as the servers and people that read the files reach them.

    Attributes:
        scorers, monitor: ``host:port`` of the metrics that Prometheus scrapes.
        alertmanager: ``host:port`` that Prometheus sends alerts to.
        prometheus_url, alertmanager_url: that Grafana asks.
        grafana_url, monitor_url: that people open from a notification.
        webhook_url: base of the receivers' addresses; None: notifications lead nowhere yet.
        slack: in the place of the webhooks, but for the heartbeat.
        heartbeat_url: that the dead man's switch calls; None: ``webhook_url`` with ``/heartbeat``.
        scorer_token_file, monitor_token_file: files with the bearer token that the metrics ask for.
    """

    scorers: Sequence[str] = ("localhost:9107",)
    monitor: str = "localhost:9108"
    alertmanager: str = "localhost:9093"
    prometheus_url: str = "http://localhost:9090"
    alertmanager_url: str = "http://localhost:9093"
    grafana_url: str = "http://localhost:3000"
    monitor_url: str = "http://localhost:9108"
    webhook_url: str | None = None
    slack: Slack | None = None
    heartbeat_url: str | None = None
    scorer_token_file: Path | None = None
    monitor_token_file: Path | None = None

    def __post_init__(self) -> None:
        for target in (*self.scorers, self.monitor, self.alertmanager):
            if not _TARGET.fullmatch(target):
                raise ConfigurationError(f"a target should be HOST:PORT, found {target!r}: correct the flag")
        shown = (self.prometheus_url, self.alertmanager_url, self.grafana_url, self.monitor_url)
        for url in (*shown, self.webhook_url, self.heartbeat_url):
            if url is not None:
                _require_plain(url)

    def put_into(self, text: str) -> str:
        """Return a shipped text with these addresses in the place of compose.yaml's."""
        if self.slack:
            text = _WEBHOOK_BLOCK.sub(_slack_block(self.slack), text)
        for job, file in (("scorer", self.scorer_token_file), ("monitor", self.monitor_token_file)):
            if file:
                named = f"  - job_name: driftline-{job}\n"
                text = text.replace(
                    named, f"{named}    authorization:\n      credentials_file: {json.dumps(str(file))}\n"
                )
        table = self._table()
        shipped = "|".join(re.escape(each) for each in sorted(table, key=len, reverse=True))
        return re.sub(f"(?:{shipped})(?![\\w.])", lambda found: table[found.group()], text)

    def _table(self) -> dict[str, str]:
        table = {
            "[scorer:9107]": json.dumps(list(self.scorers)),
            "[monitor:9108]": json.dumps([self.monitor]),
            "[alertmanager:9093]": json.dumps([self.alertmanager]),
            "http://prometheus:9090": self.prometheus_url,
            "http://alertmanager:9093": self.alertmanager_url,
            "http://localhost:3000": self.grafana_url,
            "http://localhost:9108": self.monitor_url,
        }
        urls = {shipped: url.rstrip("/") for shipped, url in table.items() if shipped.startswith("http")}
        if self.webhook_url:
            urls[WEBHOOKS] = self.webhook_url.rstrip("/")
        if self.heartbeat_url:
            urls[HEARTBEAT] = self.heartbeat_url
        return table | urls


def _require_plain(url: str) -> None:
    parts = urlsplit(url)
    if not _URL.fullmatch(url) or not parts.hostname:
        # Not the URL itself: it may hold a secret.
        raise ConfigurationError(
            "an address should be http(s)://HOST[:PORT][/PATH] without user, password or query, which end up in files "
            "that others read: correct the flag, and name secrets by file (--slack-url-file)"
        )


def _slack_block(slack: Slack) -> str:
    lines = (
        r"\1slack_configs:",
        rf"\1  - api_url_file: {_escaped(json.dumps(str(slack.url_file)))}",
        rf"\1    channel: {_escaped(json.dumps(slack.channel))}",
        r"\1    send_resolved: true",
        r"""\1    title: '{{ template "driftline.title" . }}'""",
        r"""\1    text: '{{ template "driftline.text" . }}'""",
    )
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\")
