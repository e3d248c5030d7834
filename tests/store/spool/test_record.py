"""Framing: what is read is what was written, whatever happens to bytes in between."""

import random

from driftline.store.spool.record import HEADER_BYTES, Framing, Gap, Kind, Record, last_seq

FRAMING = Framing(b"secret!!")


def records_of(count: int, seed: int = 0) -> list[Record]:
    chance = random.Random(seed)
    return [
        Record(seq, Kind.INVOCATION, seq % 3, 10**15 + seq, chance.randbytes(chance.choice([0, 1, 30, 90])))
        for seq in range(1, count + 1)
    ]


def bytes_of(records: list[Record], framing: Framing = FRAMING) -> bytes:
    return b"".join(framing.frame(r.kind, r.model, r.seq, r.at_us, r.payload) for r in records)


def scanned(raw: bytes) -> list[Record]:
    return [record for _, record in FRAMING.scan(raw)]


def test_what_is_scanned_is_what_was_framed() -> None:
    records = records_of(50)
    raw = bytes_of(records)
    assert scanned(raw) == records
    assert [end for end, _ in FRAMING.scan(raw)][-1] == len(raw)


def test_the_header_has_36_bytes_and_an_empty_payload_none() -> None:
    assert len(FRAMING.frame(Kind.INVOCATION, 0, 1, 0, b"")) == HEADER_BYTES == 36


def test_a_cut_at_every_byte_yields_the_whole_records_before_it() -> None:
    records = records_of(12)
    raw, ends = bytes_of(records), []
    for end, _ in FRAMING.scan(raw):
        ends.append(end)
    for cut in range(len(raw)):
        assert scanned(raw[:cut]) == records[: sum(end <= cut for end in ends)]


def test_a_flipped_bit_at_every_byte_loses_at_most_one_record_and_alters_none() -> None:
    records = records_of(12)
    raw = bytes_of(records)
    for place in range(len(raw)):
        flipped = bytearray(raw)
        flipped[place] ^= 1 << place % 8
        found = scanned(bytes(flipped))
        assert len(found) >= len(records) - 1, place
        assert [r for r in records if r in found] == found, place


def test_smashed_ranges_alter_no_record_and_spare_those_outside() -> None:
    records = records_of(40, seed=1)
    raw = bytes_of(records)
    spans = []
    start = 0
    for end, _ in FRAMING.scan(raw):
        spans.append((start, end))
        start = end
    chance = random.Random(7)
    for _ in range(1000):
        begin = chance.randrange(len(raw))
        size = chance.randint(1, 200)
        filling = bytes(size) if chance.random() < 0.5 else chance.randbytes(size)
        smashed = (raw[:begin] + filling + raw[begin + size :])[: len(raw)]
        found = scanned(smashed)
        spared = [r for r, (a, b) in zip(records, spans, strict=True) if b <= begin or a >= begin + size]
        assert [r for r in records if r in found] == found
        assert all(record in found for record in spared)


def test_a_payload_of_framed_records_yields_no_phantom_whatever_header_is_damaged() -> None:
    phantoms = records_of(30, seed=2)
    guesses = [Framing(salt) for salt in (b"", b"\0" * 8, b"wrong!!!", b"driftlin")]
    hostile = b"".join(bytes_of(phantoms, guess) for guess in guesses)
    records = [Record(seq, Kind.INVOCATION, 0, 0, hostile) for seq in (1001, 1002, 1003)]
    raw = bytes_of(records)
    for place in [*range(HEADER_BYTES), *range(HEADER_BYTES, len(raw), 97)]:
        flipped = bytearray(raw)
        flipped[place] ^= 0xFF
        assert {r.seq for r in scanned(bytes(flipped))} <= {1001, 1002, 1003}


def test_a_kind_of_a_later_driftline_costs_that_record_only() -> None:
    later = FRAMING.header(9, 0, 2, 0, 0, 0)
    records = records_of(3)
    assert scanned(bytes_of(records[:1]) + later + bytes_of(records[2:])) == [records[0], records[2]]


def test_a_gap_packs_and_stands_for_its_numbers() -> None:
    gap = Gap(5, 9, 5, "ring_full", -3, 8)
    assert Gap.unpack(gap.pack()) == gap
    (record,) = scanned(FRAMING.gap(gap))
    assert (record.kind, record.seq, last_seq(record)) == (Kind.GAP, 5, 9)
