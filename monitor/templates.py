"""How pages are made of templates: the same rules on the status page, in reports and in replays."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def page_environment(*folders: Path) -> Environment:
    """Return what makes pages of the templates in these folders.

    Every text is escaped, a name that is not given is an error, and lines of statements leave no empty lines.
    """
    return Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
