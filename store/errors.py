"""Errors that a user may see: each says what was found and names the next step."""


class DriftlineError(Exception):
    """Root of all errors that driftline raises on purpose.

    The message is one line: what was expected, what was found, what to type next. The command line prints it
    without a traceback and exits with ``exit_code``.
    """

    exit_code = 1


class ConfigurationError(DriftlineError):
    """A setting is unknown, malformed or contradicts another."""

    exit_code = 2


class StoreUnreachable(DriftlineError):
    """The database does not answer or refuses the credentials."""


class SchemaMismatch(DriftlineError):
    """The store's schema is older or newer than this driftline."""


class SpoolError(DriftlineError):
    """The spool cannot be opened: no space for the ring, folder not writable, unknown format."""


class ReferenceMissing(DriftlineError):
    """A model version has no training reference yet."""


class ReferenceCorrupt(DriftlineError):
    """Bytes that should be a reference are not, or are damaged."""


class ProfileCorrupt(DriftlineError):
    """Stored bytes that should be a profile are not, are damaged, or lie on other bins."""


class ModelNotFound(DriftlineError):
    """No model answers to the URI or the name."""


class MlflowUnreachable(DriftlineError):
    """MLflow does not answer, or refuses."""


class EnvironmentNotBuilt(DriftlineError):
    """The model's environment cannot be made, or has no room for driftline."""


class LeadershipLost(DriftlineError):
    """Another monitor runs the jobs now."""
