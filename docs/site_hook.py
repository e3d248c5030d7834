"""What mkdocs does not do by itself: links that leave docs/ lead to pages, and headings get GitHub's anchors.

The pages are read on GitHub, in a checkout and on the site. A link to a file of ours outside of docs/ stays as it is in
the source; on the site it leads to a page under ``source/`` that shows the file.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pymdownx.slugs import slugify

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)(?=[)#])")
_FENCES = {".py": "python", ".sql": "sql", ".yml": "yaml", ".yaml": "yaml", ".json": "json", ".sh": "bash"}


def on_config(config: MkDocsConfig) -> None:
    """Have headings the anchors that GitHub gives them."""
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add a page for each file outside of docs/ that a page links to, and for those that they link to."""
    pages = [(f"docs/{file.src_uri}", file.content_string) for file in files.documentation_pages()]
    while pages:
        place, text = pages.pop()
        for target in _targets(place, text):
            uri = _uri(target)
            if not target.startswith("docs/") and files.get_file_from_path(uri) is None and (ROOT / target).exists():
                content = _content(target)
                files.append(File.generated(config, uri, content=content))
                pages.append((target, content))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that leave docs/, or lead back into it, into links between pages."""
    here = page.file.src_uri
    place = _place(here)

    def led(match: re.Match[str]) -> str:
        target = _target(place, match[0])
        found = None if target is None else _uri(target)
        return match[0] if found is None or files.get_file_from_path(found) is None else _relative(found, here)

    return _LINK.sub(led, markdown)


def _targets(place: str, text: str) -> set[str]:
    found = (_target(place, link) for link in _LINK.findall(text))
    return {target for target in found if target is not None}


def _target(place: str, link: str) -> str | None:
    """Return the path, from the root, of what a page at ``place`` links to; None where that is no file of ours."""
    if ":" in link or link.startswith("/"):
        return None
    target = posixpath.normpath(posixpath.join(posixpath.dirname(place), link))
    return None if target.startswith("..") else target


def _uri(target: str) -> str:
    """Return the page that shows a file."""
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    return f"source/{target}" if target.endswith(".md") else f"source/{target}.md"


def _place(uri: str) -> str:
    """Return where the text of a page lies, from the root."""
    if not uri.startswith("source/"):
        return f"docs/{uri}"
    place = uri.removeprefix("source/")
    return place if (ROOT / place).exists() else place.removesuffix(".md")


def _relative(uri: str, here: str) -> str:
    return posixpath.relpath(uri, posixpath.dirname(here) or ".")


def _content(target: str) -> str:
    path = ROOT / target
    if path.is_dir():
        names = sorted(each.name for each in path.iterdir() if not each.name.startswith(("_", ".")))
        return "\n".join([f"# {target}/", "", *(f"- `{name}`" for name in names), ""])
    text = path.read_text(encoding="utf-8")
    return text if path.suffix == ".md" else f"# {target}\n\n````{_FENCES.get(path.suffix, 'text')}\n{text}````\n"
