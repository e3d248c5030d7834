"""``driftline demo``: the whole way of the data, on real data, with the same commands a user would type.

Everything it starts is a child process of its own and ends with it; everything it writes lies in one folder.
"""

import importlib.util
import json
import os
import shutil
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from driftline.cli.demo.children import Children
from driftline.store.errors import ConfigurationError, DriftlineError

if TYPE_CHECKING:
    from driftline.cli.demo.traffic import Label

_MARKER = ".driftline-demo"
# A profile holds a minute of rows, and a window is whole profiles: the second phase begins with a minute of its own.
_BUCKET_SECONDS = 60
_DRIFT_INTERVAL_SECONDS = 5
_CHECK_INTERVAL_SECONDS = 30  # of quality and performance, and of all inputs together: a second of processor
_INTERRUPTED = 130  # as shells say it
_QUERY = "select received_at, lncoins, disea, prediction, probability from inference_doctor_visits limit 5"


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("driftline-demo"),
    show_default=True,
    help="Where everything lies; an earlier demo there is replaced.",
)
@click.option("--exit", "exit_when_done", is_flag=True, help="Stop everything at the end instead of staying up.")
@click.option(
    "--train-only",
    is_flag=True,
    help="Only train and register the demo's model on MLFLOW_TRACKING_URI, with its reference; then end.",
)
@click.option(
    "--traffic-to",
    metavar="URL",
    help="Only send the demo's traffic to this server of its model, by turns like training and shifted, until Ctrl-C.",
)
@click.option("--labels-to", metavar="URL", help="With --traffic-to: the monitor that is told what turned out true.")
def demo(folder: Path, exit_when_done: bool, train_only: bool, traffic_to: str | None, labels_to: str | None) -> None:
    """Train, serve, send traffic, shift it, and see the drift."""
    if train_only:
        _train()
        return
    if traffic_to:
        _send_for_ever(traffic_to, labels_to)
        return
    try:
        _check_extras()
        _demo(_fresh(folder), exit_when_done)
    except KeyboardInterrupt:
        click.echo("driftline: the demo was stopped before its end", err=True)
        sys.exit(_INTERRUPTED)


def _train() -> None:
    from driftline.cli.demo.population import MODEL, TARGET, load_population, train_and_register
    from driftline.monitor import log_reference

    training = load_population().training
    uri = train_and_register(training)
    log_reference(uri, training, labels=TARGET)
    click.echo(f"registered {uri} (alias {MODEL}@champion) with its reference")


def _send_for_ever(scorer_url: str, monitor_url: str | None) -> None:
    from driftline.cli.demo.lasting_traffic import send_for_ever

    with suppress(KeyboardInterrupt):
        send_for_ever(scorer_url, monitor_url)


def _fresh(folder: Path) -> Path:
    """Return the folder, empty but for the marker; refuse to delete what no demo made."""
    folder = folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARKER).exists():
            raise ConfigurationError(f"{folder} is not empty and no demo made it: choose another with --folder")
        shutil.rmtree(folder)
    try:
        (folder / "logs").mkdir(parents=True)
        (folder / _MARKER).touch()
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written ({error.strerror}): name another by --folder") from error
    return folder


def _check_extras() -> None:
    """Refuse before anything starts where a package of the extras is missing; the command line says which."""
    for package in ("statsmodels", "sklearn", "apscheduler", "evidently"):
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(name=package)


def _demo(folder: Path, exit_when_done: bool) -> None:
    from driftline.cli.demo.population import MODEL
    from driftline.cli.demo.traffic import first_phase, second_phase

    ports = dict(zip(("mlflow", "serve", "metrics", "monitor"), _ports(5001, 5000, 9107, 9108), strict=True))
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DRIFTLINE_", "MLFLOW_", "UVICORN_"))}
    environment |= {
        "DRIFTLINE_HOME": str(folder / "home"),
        "DRIFTLINE_MONITOR_DRIFT_INTERVAL_SECONDS": str(_DRIFT_INTERVAL_SECONDS),
        "DRIFTLINE_QUALITY_INTERVAL_SECONDS": str(_CHECK_INTERVAL_SECONDS),
        "DRIFTLINE_MULTIVARIATE_INTERVAL_SECONDS": str(_CHECK_INTERVAL_SECONDS),
        "DRIFTLINE_PERFORMANCE_INTERVAL_SECONDS": str(_CHECK_INTERVAL_SECONDS),
        "MLFLOW_TRACKING_URI": urls["mlflow"],
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # six processes for what no demo asks of it
        "PYTHONUNBUFFERED": "1",
    }
    with Children(folder, environment) as children:
        _say("1. A local MLflow, and a model in its registry")
        children.start(
            "mlflow",
            [
                "mlflow",
                "server",
                "--port",
                str(ports["mlflow"]),
                "--workers",
                "1",
                "--backend-store-uri",
                f"sqlite:///{folder / 'mlflow.sqlite'}",
                "--artifacts-destination",
                str(folder / "artifacts"),
            ],
            ready=f"{urls['mlflow']}/health",
        )
        children.run(
            "train",
            ["driftline", "demo", "--train-only"],
            says="trains on 12,062 person-years of the RAND Health Insurance Experiment",
        )

        _say("2. Serve it as `mlflow models serve` would, and watch it")
        children.start(
            "serve",
            [
                "driftline",
                "serve",
                "-m",
                f"models:/{MODEL}@champion",
                "-p",
                str(ports["serve"]),
                "--metrics-port",
                str(ports["metrics"]),
            ],
            ready=f"{urls['serve']}/ping",
        )
        children.start(
            "monitor", ["driftline", "monitor", "--port", str(ports["monitor"])], ready=f"{urls['monitor']}/healthz"
        )

        _say("3. Traffic like the training data: families on the plans that the model was trained on")
        _phase(children, folder, "first-phase", first_phase, urls)
        _say("   The accounts so far")
        children.run("status", ["driftline", "store", "status"], show=True)
        children.run("verify", ["driftline", "store", "verify"], show=True)
        _wait_for_a_new_bucket()

        _say("4. Shifted traffic: families on the plans that pay half of a bill or less")
        _phase(children, folder, "second-phase", second_phase, urls)
        _show_gauges(urls["monitor"])

        _say("5. The report in MLflow, on the model version it is about")
        children.run("report", ["driftline", "report", MODEL, "--since", "1h", "--to-mlflow"], show=True)
        _how_to_look_further(folder, urls, MODEL)
        if not exit_when_done:
            click.echo("\nEverything stays up until Ctrl-C.")
            with suppress(KeyboardInterrupt):
                children.stay()
            click.echo("\nstopping")


def _phase(
    children: Children, folder: Path, name: str, send: Callable[[str], "list[Label]"], urls: dict[str, str]
) -> None:
    """Send one phase's traffic, wait until all is stored, and print the verdicts, without labels and then with them."""
    from driftline.cli.demo.traffic import post_labels

    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    labels = send(urls["serve"])
    _wait_until_stored(children)
    _judge(children, folder, name, "drift", since)
    click.echo("  What the model's own probabilities say of it, before anyone knows the truth:")
    children.run(name, ["driftline", "performance", "doctor-visits", "--since", since], show=True)
    click.echo("  The year is over, and it is known who saw a doctor twice:")
    post_labels(urls["monitor"], labels)
    _judge(children, folder, name, "performance", since)


def _judge(children: Children, folder: Path, name: str, command: str, since: str) -> None:
    """Print what a command says of a phase, and keep it as JSON."""
    words = ["driftline", command, "doctor-visits", "--since", since]
    (folder / f"{name}-{command}.json").write_text(children.run(name, [*words, "--json"], quiet=True))
    children.run(name, words, show=True)


def _wait_for_a_new_bucket() -> None:
    seconds = _BUCKET_SECONDS - time.time() % _BUCKET_SECONDS + 1
    click.echo(f"\n  waiting {seconds:.0f} s for the next minute: a profile holds a minute, a window is whole profiles")
    time.sleep(seconds)


def _wait_until_stored(children: Children, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = json.loads(children.run("status", ["driftline", "store", "status", "--json"], quiet=True))
        if status["spooled"] == 0:
            return
        time.sleep(0.5)
    raise DriftlineError(f"the loader did not empty the spool within {seconds:.0f} s: see logs/serve.log in the folder")


def _show_gauges(monitor_url: str) -> None:
    """Print the drift gauges once the scheduled job has seen the shifted rows."""
    end = time.monotonic() + 12 * _DRIFT_INTERVAL_SECONDS
    wanted = "driftline_monitor_feature_drift_detected{"
    while time.monotonic() < end:
        with urllib.request.urlopen(f"{monitor_url}/metrics") as answer:  # noqa: S310 - our own loopback listener
            lines = [line for line in answer.read().decode().splitlines() if line.startswith(wanted)]
        if any(line.endswith(" 1.0") for line in lines):
            click.echo(f"\nThe gauges at {monitor_url}/metrics, from the scheduled job:")
            click.echo("\n".join(f"  {line}" for line in lines))
            return
        time.sleep(1)
    raise DriftlineError("no drift gauge was raised: see logs/monitor.log in the demo's folder")


def _how_to_look_further(folder: Path, urls: dict[str, str], model: str) -> None:
    _say("Up now")
    for what, url in (
        ("scoring", f"{urls['serve']}/invocations"),
        ("scorer metrics", f"{urls['metrics']}/metrics"),
        ("drift metrics", f"{urls['monitor']}/metrics"),
        ("status page", f"{urls['monitor']}/"),
        ("MLflow", f"{urls['mlflow']}/"),
    ):
        click.echo(f"  {what:<15} {url}")
    _say("Look further")
    click.echo(f"  export DRIFTLINE_HOME={folder / 'home'} MLFLOW_TRACKING_URI={urls['mlflow']}")
    click.echo(f"  driftline drift {model} --since 1h\n  driftline store status")
    click.echo(f"  sqlite3 {folder / 'home' / 'driftline.sqlite'} '{_QUERY}'")


def _ports(*wanted: int) -> list[int]:
    """Return the wanted ports of loopback, a free one in the place of each that is taken."""
    listeners, ports = [], []
    try:
        for port in wanted:
            listener = socket.socket()
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                listener.bind(("127.0.0.1", 0))
            ports.append(int(listener.getsockname()[1]))
    finally:
        for listener in listeners:
            listener.close()
    return ports


def _say(headline: str) -> None:
    click.echo("")
    click.secho(headline, bold=True)
