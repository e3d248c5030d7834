"""Tables in a terminal."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], left: int, below: Sequence[str] = ()) -> list[str]:
    """Return rows of cells as lines whose columns stand under each other; the last cell is as long as it is.

    Args:
        rows: of one length, the heads first.
        left: how many columns are aligned to the left; the others are to the right.
        below: what follows each line, as many as rows; nothing when absent.
    """
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    lines = []
    for *cells, last in rows:
        padded = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append("  ".join([*padded, last]).rstrip())
    return [line + more for line, more in zip(lines, below, strict=True)] if below else lines
