"""The commands of the documentation: blocks of shell by page, and what excuses one from being run.

A comment directly before a block excuses it: ``<!-- not run: needs Docker -->``.
"""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TUTORIAL = ROOT / "docs" / "tutorial.md"
# What an excused block has in it, one of these at least: what is not on every machine, or takes minutes.
ANOTHER_WORLD = (
    "aws ", "az ", "docker ", "podman ", "kubectl ", "helm ", "kind ", "pip install", "pytest ", "make ", "benchmarks/",
)  # fmt: skip
_EXCUSE = re.compile(r"<!-- not run: (.+) -->")
_FENCE = re.compile(r" *```(?:bash|sh|shell|console)\b")


@dataclass(frozen=True)
class Block:
    """``line`` is that of the fence; ``excuse`` is empty where the block is run."""

    page: Path
    line: int
    text: str
    excuse: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Return the shell blocks of a page in their order."""
    lines, found = page.read_text(encoding="utf-8").splitlines(), []
    starts = [number for number, line in enumerate(lines) if _FENCE.match(line)]
    for start in starts:
        end = next(number for number in range(start + 1, len(lines)) if lines[number].strip() == "```")
        excuse = _EXCUSE.fullmatch(lines[start - 1].strip())
        text = textwrap.dedent("\n".join(lines[start + 1 : end]))
        found.append(Block(page, start + 1, text, excuse[1] if excuse else ""))
    return found


def heredoc(page: Path, name: str) -> str:
    """Return the text that a page's ``cat > NAME <<'END'`` writes."""
    for block in blocks(page):
        if found := re.search(rf"^cat > {re.escape(name)} <<'END'\n(.*?)^END$", block.text, re.MULTILINE | re.DOTALL):
            return found[1]
    raise AssertionError(f"{page} does not write {name}")
