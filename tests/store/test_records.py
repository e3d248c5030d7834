import os
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.store.records import Arm, Invocation, ModelIdentity, invocation_id_text, new_invocation_id

INVOCATIONS = st.builds(
    Invocation,
    id=st.binary(min_size=16, max_size=16),
    received_at_us=st.integers(0, 2**63),
    status=st.integers(100, 599),
    arm=st.sampled_from(Arm),
    latency_us=st.integers(0, 2**32 - 1),
    content_type=st.binary(max_size=100),
    client_request_id=st.binary(max_size=100),
    request=st.binary(max_size=300),
    response=st.binary(max_size=300),
    parse_us=st.integers(0, 2**32 - 1),
    predict_us=st.integers(0, 2**32 - 1),
    encode_us=st.integers(0, 2**32 - 1),
)


@given(INVOCATIONS)
def test_unpack_is_the_inverse_of_pack(invocation: Invocation) -> None:
    assert Invocation.unpack(invocation.pack()) == invocation


@given(INVOCATIONS, st.data())
def test_a_payload_cut_anywhere_is_refused(invocation: Invocation, data: st.DataObject) -> None:
    packed = invocation.pack()
    with pytest.raises(ValueError, match="invocation record"):
        Invocation.unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])


def test_headers_are_cut_where_a_record_has_no_room_for_more() -> None:
    long = Invocation(bytes(16), 5, 200, Arm.CHAMPION, 7, b"t" * 70_000, b"i" * 70_000, b"request", b"response")
    kept = Invocation.unpack(long.pack())
    assert kept == long._replace(content_type=b"t" * 65_535, client_request_id=b"i" * 65_535)


@pytest.mark.parametrize("stage", ["latency_us", "parse_us", "predict_us", "encode_us"])
def test_a_time_of_more_than_an_hour_is_kept_at_the_largest_number(stage: str) -> None:
    invocation = Invocation(bytes(16), 0, 200, Arm.CHAMPION, 1, b"", b"", b"", b"")
    assert getattr(Invocation.unpack(invocation._replace(**{stage: 2**40}).pack()), stage) == 2**32 - 1


def test_invocation_ids_are_uuids_of_version_7_in_the_order_of_time() -> None:
    earlier, later = (uuid.UUID(bytes=new_invocation_id(at)) for at in (1_700_000_000_000_000, 1_700_000_000_001_000))
    assert earlier.version == 7
    assert earlier.variant == uuid.RFC_4122
    assert earlier.int >> 80 == 1_700_000_000_000
    assert earlier < later


@given(st.binary(min_size=16, max_size=16))
def test_the_text_of_an_id_is_that_of_its_uuid(id_: bytes) -> None:
    assert invocation_id_text(id_) == str(uuid.UUID(bytes=id_))


def test_ids_of_one_moment_differ() -> None:
    assert len({new_invocation_id(1) for _ in range(1000)}) == 1000


def test_the_fingerprint_depends_on_the_signature_alone() -> None:
    signature = {"inputs": '[{"type": "double", "name": "a"}]', "outputs": None}
    reordered = {"outputs": None, "inputs": '[{"name": "a", "type": "double"}]', "params": None}
    other = {"inputs": '[{"type": "long", "name": "a"}]', "outputs": None}
    one = ModelIdentity("m", "1", "models:/m/1", signature=signature)
    assert one.fingerprint == ModelIdentity("n", "2", "x", signature=reordered).fingerprint
    assert one.fingerprint != ModelIdentity("m", "1", "models:/m/1", signature=other).fingerprint
    assert ModelIdentity.from_json(one.to_json()) == one


def test_ids_of_threads_differ() -> None:
    with ThreadPoolExecutor(8) as threads:
        parts = list(threads.map(lambda _: [new_invocation_id(5) for _ in range(2000)], range(8)))
    assert len({id_ for part in parts for id_ in part}) == 16_000


def test_ids_of_a_forked_child_are_not_its_parents() -> None:
    new_invocation_id(5)  # more are drawn than are used
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, b"".join(new_invocation_id(5) for _ in range(100)))
        os._exit(0)
    os.waitpid(child, 0)
    raw = os.read(reader, 1 << 16)
    own = {new_invocation_id(5) for _ in range(1000)}
    assert len(raw) == 1600
    assert own.isdisjoint(raw[place : place + 16] for place in range(0, len(raw), 16))
