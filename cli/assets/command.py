"""``driftline assets export``: rules, routes, dashboards and scrape configuration with the user's addresses."""

from pathlib import Path

import click

from driftline.cli.assets.addresses import Addresses, Slack
from driftline.store.errors import ConfigurationError

_FILE = click.Path(path_type=Path)


@click.group()
def assets() -> None:
    """Write what Prometheus, Alertmanager and Grafana need."""


@assets.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--scorer",
    "scorers",
    multiple=True,
    metavar="HOST:PORT",
    help="A scorer's metrics; may be repeated.  [default: localhost:9107]",
)
@click.option(
    "--monitor",
    default=Addresses.monitor,
    show_default=True,
    metavar="HOST:PORT",
    help="The monitor, as Prometheus reaches it.",
)
@click.option("--monitor-url", default=Addresses.monitor_url, show_default=True, help="The monitor, as people open it.")
@click.option("--grafana-url", default=Addresses.grafana_url, show_default=True, help="Grafana, as people open it.")
@click.option(
    "--prometheus-url", default=Addresses.prometheus_url, show_default=True, help="Prometheus, as Grafana asks it."
)
@click.option(
    "--alertmanager",
    default=Addresses.alertmanager,
    show_default=True,
    metavar="HOST:PORT",
    help="Alertmanager, as Prometheus and Grafana reach it.",
)
@click.option("--webhook-url", help="Where notifications go: URL/page, URL/platform, URL/model-team.")
@click.option("--heartbeat-url", help="What the dead man's switch calls.  [default: the webhooks' URL/heartbeat]")
@click.option("--slack-channel", metavar="#CHANNEL", help="Where notifications go in place of the webhooks.")
@click.option("--slack-url-file", type=_FILE, help="File on Alertmanager's host that holds Slack's webhook address.")
@click.option("--scorer-token-file", type=_FILE, help="File on Prometheus' host with the scorers' bearer token.")
@click.option("--monitor-token-file", type=_FILE, help="The same for the monitor.")
@click.option(
    "--objectives",
    type=_FILE,
    help="Your promises of availability and latency, as in driftline's objectives.toml; the alerts follow from them.",
)
@click.option("--force", is_flag=True, help="Overwrite files that were changed by hand.")
def export(
    folder: Path,
    scorers: tuple[str, ...],
    monitor: str,
    monitor_url: str,
    grafana_url: str,
    prometheus_url: str,
    alertmanager: str,
    webhook_url: str | None,
    heartbeat_url: str | None,
    slack_channel: str | None,
    slack_url_file: Path | None,
    scorer_token_file: Path | None,
    monitor_token_file: Path | None,
    objectives: Path | None,
    force: bool,
) -> None:
    """Write rules, routes, dashboards and scrape configuration into FOLDER, with your addresses.

    The same command again takes over what a new version ships. Secrets are named by file and never written.
    """
    from driftline.cli.assets import export as exporting

    addresses = Addresses(
        scorers=scorers or Addresses.scorers,
        monitor=monitor,
        alertmanager=alertmanager,
        prometheus_url=prometheus_url,
        alertmanager_url=f"http://{alertmanager}",
        grafana_url=grafana_url,
        monitor_url=monitor_url,
        webhook_url=webhook_url,
        heartbeat_url=heartbeat_url,
        slack=_slack(slack_channel, slack_url_file),
        scorer_token_file=scorer_token_file,
        monitor_token_file=monitor_token_file,
    )
    done = exporting.export(folder, exporting.filled(addresses.put_into, objectives), force=force)
    for path in done.written:
        click.echo(f"wrote {folder / path}")
    for path in done.removed:
        click.echo(f"removed {folder / path}, which is not shipped any more")
    click.echo(f"{len(done.written)} files written, {len(done.unchanged)} as they should be already")
    click.echo(_next_steps(folder, addresses))


def _slack(channel: str | None, url_file: Path | None) -> Slack | None:
    if (channel is None) != (url_file is None):
        raise ConfigurationError("Slack needs both --slack-channel and --slack-url-file: give the missing one")
    return Slack(channel, url_file) if channel and url_file else None


def _next_steps(folder: Path, addresses: Addresses) -> str:
    steps = [
        f"check:        promtool check config {folder}/prometheus/prometheus.yml",
        f"              amtool check-config {folder}/alertmanager/alertmanager.yml",
        f"Prometheus:   --config.file={folder}/prometheus/prometheus.yml, or take over its two jobs and rules/",
        f"Alertmanager: --config.file={folder}/alertmanager/alertmanager.yml, or take over its routes and *.tmpl",
        f"Grafana:      {folder}/grafana/provisioning to /etc/grafana/provisioning, "
        f"{folder}/grafana/dashboards to /etc/grafana/dashboards",
    ]
    if not (addresses.webhook_url or addresses.slack):
        steps.append("Notifications lead nowhere yet: give --webhook-url, or --slack-channel and --slack-url-file")
    if not (addresses.webhook_url or addresses.heartbeat_url):
        steps.append("The dead man's switch calls nobody yet: give --heartbeat-url")
    return "\n".join(["next:", *(f"  {step}" for step in steps)])
