"""Which drifted column is told first: the one that moved most in what the model relies on."""

from collections.abc import Mapping, Sequence

from driftline.monitor.drift.verdict import ColumnDrift, Verdict


def ranked(drifts: Sequence[ColumnDrift], importances: Mapping[str, float] | None) -> list[ColumnDrift]:
    """Return the judgements in the order in which people should read them.

    Args:
        drifts: of all columns, in the signature's order.
        importances: shares of what the model relies on by column name, see ``Reference``; None where not known.

    Returns:
        With importances, the drifted columns first, by their score in units of the threshold times their importance;
        an output counts as much as the most important input. All others as they came.
    """
    if not importances:
        return list(drifts)
    most = max(importances.values())

    def weight(drift: ColumnDrift) -> float:
        if drift.verdict is not Verdict.DRIFT:
            return -1.0
        return (drift.ratio or 0.0) * (most if drift.side == "output" else importances.get(drift.column_name, 0.0))

    return sorted(drifts, key=weight, reverse=True)  # stable: ties stay in the signature's order
