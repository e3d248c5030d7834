"""The parent process of ``driftline proxy``: that of ``driftline serve``, over workers that have no model."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from driftline.scorer.model_source import ModelSource, identify
from driftline.scorer.proxy.address import UpstreamAddress
from driftline.scorer.proxy.settings import ProxySettings
from driftline.scorer.supervisor import ServerOptions, UvicornStart, as_variables, supervise
from driftline.store.loader.settings import LoaderSettings
from driftline.store.records import Arm, ModelIdentity

UNKNOWN_VERSION = "unknown"
_FACTORY = "driftline.scorer.proxy.worker:create_app"


@dataclass(frozen=True, slots=True)
class UnknownModelLoaderSettings(LoaderSettings):
    """The section ``[loader]`` where nobody said what the model is: bodies are kept unless told otherwise."""

    raw_bodies: Literal["none", "errors", "sample", "all"] = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions(ServerOptions):
    """The flags of ``driftline proxy``, and driftline's settings.

    Attributes:
        model_uri: what the server behind serves; empty where nobody said.
        model_name: its name where nobody said.
    """

    model_uri: str
    model_name: str
    proxy: ProxySettings

    def settings_of_children(self) -> dict[str, str]:
        own = {**as_variables("proxy", self.proxy), "DRIFTLINE_LOADER_RAW_BODIES": self.loader.raw_bodies}
        return {**ServerOptions.settings_of_children(self), **own}


def proxy(options: ProxyOptions) -> int:
    """Stand in front of a server until uvicorn ends; return the exit code for the shell.

    Raises:
        DriftlineError: it cannot start; the message says why and what next.
    """
    UpstreamAddress.parse(options.proxy.upstream)
    return supervise(
        options, {Arm.CHAMPION: options.model_uri}, lambda uri, _: _source(options, uri), lambda _: _start(options)
    )


def _source(options: ProxyOptions, uri: str) -> ModelSource:
    """Return what is known of the model; its files are the other server's business."""
    identity = identify(uri) if uri else ModelIdentity(options.model_name, UNKNOWN_VERSION, "")
    return ModelSource(Path(), identity)


def _start(options: ProxyOptions) -> UvicornStart:
    """Return how uvicorn is started; date and server are those of the server behind."""
    arguments = ["--host", options.host, "--port", str(options.port), "--workers", str(options.workers)]
    return UvicornStart([*arguments, "--no-server-header", "--no-date-header"], _FACTORY, os.environ)
