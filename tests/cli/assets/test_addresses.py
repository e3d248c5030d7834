"""The user's addresses take the place of the shipped ones: all of them, once, and never a secret."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from driftline.cli.assets.addresses import HEARTBEAT, WEBHOOKS, Addresses, Slack
from driftline.cli.assets.export import filled, shipped_files
from driftline.store.errors import ConfigurationError

MINE = Addresses(
    scorers=("a.example.org:9107", "[::1]:9107"),
    monitor="m.example.org:9108",
    alertmanager="am.example.org:9093",
    prometheus_url="https://prometheus.example.org/base/",
    alertmanager_url="https://am.example.org",
    grafana_url="https://grafana.example.org/",
    monitor_url="https://driftline.example.org",
    webhook_url="https://hooks.example.org/driftline",
)
SHIPPED = ("localhost", "scorer:9107", "monitor:9108", "alertmanager:9093", "prometheus:9090")


def test_no_shipped_address_is_left_in_any_file() -> None:
    before, after = shipped_files(), filled(MINE.put_into)
    assert all(any(address in text for text in before.values()) for address in SHIPPED)
    for path, text in after.items():
        assert not [address for address in SHIPPED if address in text], path


def test_an_address_that_equals_another_shipped_one_is_not_replaced_again() -> None:
    swapped = Addresses(grafana_url="http://localhost:9108", monitor_url="http://localhost:3000")
    text = "http://localhost:3000/d/x http://localhost:9108/r/y http://localhost:30001"
    assert swapped.put_into(text) == "http://localhost:9108/d/x http://localhost:3000/r/y http://localhost:30001"


def test_the_scrape_jobs_have_the_targets_and_the_token_files() -> None:
    mine = Addresses(scorers=("a:9107", "b:9107"), monitor_token_file=Path('/etc/a "b"/token'))
    config = yaml.safe_load(filled(mine.put_into)["prometheus/prometheus.yml"])
    scorer, monitor = config["scrape_configs"]
    assert scorer["static_configs"] == [{"targets": ["a:9107", "b:9107"]}]
    assert "authorization" not in scorer
    assert monitor["authorization"] == {"credentials_file": '/etc/a "b"/token'}


def test_without_a_receiver_the_webhooks_stay_as_shipped() -> None:
    assert WEBHOOKS in filled(Addresses().put_into)["alertmanager/alertmanager.yml"]


def receivers(text: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in yaml.safe_load(text)["receivers"]}


def test_slack_takes_the_place_of_every_webhook_and_its_secret_stays_in_its_file() -> None:
    mine = Addresses(slack=Slack("#models", Path("/run/secrets/slack")))
    shipped = shipped_files()["alertmanager/alertmanager.yml"]
    before, after = receivers(shipped), receivers(mine.put_into(shipped))
    assert list(after) == list(before)
    for name, old in before.items():
        if "webhook_configs" not in old or old["webhook_configs"][0]["url"] == HEARTBEAT:
            assert after[name] == old
            continue
        assert "webhook_configs" not in after[name]
        (slack,) = after[name]["slack_configs"]
        assert (slack["channel"], slack["api_url_file"]) == ("#models", "/run/secrets/slack")


def test_the_heartbeat_goes_to_its_own_address_and_never_to_slack() -> None:
    config = f"""
receivers:
  - name: page
    webhook_configs:
      - url: {WEBHOOKS}/page
        send_resolved: false
  - name: heartbeat
    webhook_configs:
      - url: {HEARTBEAT}
        send_resolved: false
"""
    slack = Slack("#models", Path("/run/secrets/slack"))
    after = receivers(Addresses(slack=slack, heartbeat_url="https://beat.example.org/x").put_into(config))
    assert "slack_configs" in after["page"]
    assert "webhook_configs" not in after["page"]
    assert after["heartbeat"]["webhook_configs"] == [{"url": "https://beat.example.org/x", "send_resolved": False}]
    alone = receivers(Addresses(webhook_url="https://hooks.example.org/").put_into(config))
    assert alone["heartbeat"]["webhook_configs"][0]["url"] == "https://hooks.example.org/heartbeat"


@pytest.mark.parametrize(
    "url",
    ["https://me:secret@hooks.example.org", "https://hooks.example.org/?token=secret", "hooks.example.org", "http://",
     'http://x"y', "http://x\ny"],
)  # fmt: skip
def test_an_address_with_a_secret_or_none_at_all_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Addresses(webhook_url=url)
    assert "secret" not in str(refused.value).replace("name secrets by file", "")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("target", ["scorer", "http://scorer:9107", "a:b", "a:9107, b:9107", ""])
def test_a_target_that_is_no_host_and_port_is_refused(target: str) -> None:
    with pytest.raises(ConfigurationError, match="HOST:PORT"):
        Addresses(scorers=(target,))
