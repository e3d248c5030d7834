"""The home: the folder of spool, SQLite store and reports."""

import tempfile
from pathlib import Path

from driftline.store.errors import ConfigurationError

_ANOTHER = "with `--home` or DRIFTLINE_HOME"


def make_home(home: Path) -> None:
    """Make the folder where it is missing, and write into it.

    Raises:
        ConfigurationError: a file stands in its place, or it cannot be made or written to.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigurationError(f"the home {home} is a file or lies in one: name a folder {_ANOTHER}") from error
    except OSError as error:
        raise ConfigurationError(
            f"the home {home} is not writable ({error.strerror}): correct its owner or choose another {_ANOTHER}"
        ) from error
