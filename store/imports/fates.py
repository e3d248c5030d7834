"""What becomes of an event."""

from enum import StrEnum


class Fate(StrEnum):
    """Where an event ended, or that it still waits.

    The first six are of events that were taken, once each: taken = waiting + these. The others were refused at once.
    """

    STORED = "stored"  # with its other half, as a call
    INCOMPLETE = "incomplete"  # alone, as a call without rows: its other half did not come in time
    REPEATED = "repeated"  # it had come before
    LATE = "late"  # its call was stored without it: it lies in dead_letter
    UNREADABLE = "unreadable"  # a body of its call is in no known form: it lies in dead_letter
    PRUNED = "pruned"  # its model was not found for as long as [retention] keeps what was captured
    MALFORMED = "malformed"  # no CloudEvent, or one that does not say what it is about
    NO_MODEL = "no_model"  # of a service that [imports] models does not name
    OTHER = "other"  # neither a request to a predictor nor its response


TAKEN = (Fate.STORED, Fate.INCOMPLETE, Fate.REPEATED, Fate.LATE, Fate.UNREADABLE, Fate.PRUNED)
