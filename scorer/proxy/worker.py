"""The application of one worker process of ``driftline proxy``: the spool, and a way to the server behind."""

import os
import sys

from driftline.scorer.access_log import AccessLines
from driftline.scorer.asgi_types import ASGIApp
from driftline.scorer.door import Door
from driftline.scorer.model_loader import version_headers
from driftline.scorer.orders import ModelOrder, OrderBoard
from driftline.scorer.patient_spool import PatientSpool
from driftline.scorer.proxy.layer import ProxyLayer
from driftline.scorer.proxy.recorder import ProxiedModel
from driftline.scorer.proxy.settings import ProxySettings
from driftline.scorer.proxy.upstream import Upstream
from driftline.scorer.redacted_bodies import RedactedBodies
from driftline.scorer.route_aliases import RouteAliases
from driftline.scorer.settings import ScorerSettings
from driftline.scorer.stderr_log import log_to_stderr
from driftline.scorer.tally import TallySheet
from driftline.scorer.tee import Tee
from driftline.scorer.tied_process import tie_to_parent
from driftline.scorer.worker import STARTUP_FAILURE, WorkerOrder
from driftline.store.errors import DriftlineError
from driftline.store.records import Arm, now_us
from driftline.store.redaction import load_redaction
from driftline.store.settings import load_section
from driftline.store.spool.settings import SpoolSettings


def create_app() -> ASGIApp:
    """Open the spool and return the application; a failure ends the process for good."""
    tie_to_parent(os.getppid())
    log_to_stderr()
    AccessLines.install()
    try:
        return _load(WorkerOrder.from_environment())
    except DriftlineError as error:
        print(f"driftline: {error}", file=sys.stderr)
    sys.exit(STARTUP_FAILURE)


def _load(worker: WorkerOrder) -> ASGIApp:
    settings, proxy = load_section(ScorerSettings, "scorer"), load_section(ProxySettings, "proxy")
    spool = load_section(SpoolSettings, "spool")
    order = OrderBoard.attach(worker.board_path).read().proven[Arm.CHAMPION]
    tally = TallySheet.attach(order.tally_path).claim()
    wait = worker.durable_wait_seconds if spool.durability == "power" else None
    redaction = load_redaction()
    identity = redaction.identity(order.identity) if redaction else order.identity
    tee = Tee(PatientSpool.open(worker.spool_folder, spool), identity, tally, wait)
    headers = version_headers(order) if settings.version_headers and _is_known(order) else ()
    tally.loaded(now_us(), 0)
    redacted = RedactedBodies(redaction, order.identity) if redaction else None
    model = ProxiedModel(tee, tally, headers, proxy.kept_body_bytes, redacted)
    layer = ProxyLayer(model, Upstream(proxy), Door.open(settings, proxy.max_body_bytes))
    return RouteAliases.parse(settings.aliases).over(layer)


def _is_known(order: ModelOrder) -> bool:
    """Return whether somebody said which version the server behind serves."""
    return bool(order.identity.uri)
