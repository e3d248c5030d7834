"""An episode of drift: it opens at the threshold and closes below a lower one, after some time.

A score that hovers about its threshold is one episode, not many, and says since when.
"""

from dataclasses import dataclass, replace

from driftline.monitor.drift.settings import DriftSettings

_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Episode:
    """An open episode.

    Attributes:
        opened_at_us: when a score first reached its threshold.
        near_at_us: when a score was last near its threshold (``close_ratio``) or over it.
        judgements: made since it opened, the first one included.
        peak: the highest score in units of its threshold.
    """

    opened_at_us: int
    near_at_us: int
    judgements: int
    peak: float


def follow(episode: Episode | None, ratio: float | None, now_us: int, settings: DriftSettings) -> Episode | None:
    """Return the episode after one more judgement; None where none is open.

    Args:
        episode: the open one, or None.
        ratio: the score in units of its threshold; None without a verdict, which opens and closes nothing.
        now_us: when it was judged.
        settings: of the closing.
    """
    if ratio is None:
        return episode
    if episode is None:
        return Episode(now_us, now_us, 1, ratio) if ratio >= 1 else None
    if ratio >= settings.close_ratio or episode.near_at_us > now_us:  # a clock that was ahead is set back
        episode = replace(episode, near_at_us=now_us)
    elif now_us - episode.near_at_us >= settings.close_after_seconds * _SECOND_US:
        return None
    return replace(episode, judgements=episode.judgements + 1, peak=max(episode.peak, ratio))
