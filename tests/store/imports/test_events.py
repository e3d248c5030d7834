"""Events of KServe's and Seldon's loggers, as they come over HTTP and in files."""

import base64
import json
from typing import Any

import pytest
from event_rig import binary, call, event, half, structured

from driftline.store.errors import ConfigurationError
from driftline.store.imports.events import RefusedEvent, batched_halves, binary_half, structured_half
from driftline.store.imports.fates import Fate
from driftline.store.imports.settings import ImportSettings, Served
from driftline.store.records import Arm

NOW = 1_795_000_000_000_000
ROWS = {"instances": [[1.0, 2.5]]}


def lowered(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@pytest.mark.parametrize("sender", ["kserve", "seldon"])
def test_both_halves_have_one_key_whichever_mode_they_come_in(sender: str) -> None:
    request, response = call("a", [[1.0, 2.5]], [7.0], sender)
    headers, body = binary(request)
    found = [
        binary_half(lowered(headers), body, NOW),
        structured_half(json.loads(structured(request)), NOW),
        *batched_halves(b"[" + structured(request) + b"," + structured(response) + b"]", NOW),
    ]
    assert len({one.key for one in found if one}) == 1
    assert [one.side for one in found if one] == ["request", "request", "request", "response"]
    assert {one.client_id for one in found if one} == {"a"}
    assert {json.dumps(json.loads(one.body)) for one in found[:3] if one} == {json.dumps(request.get_data())}
    assert half(response).at_us - half(request).at_us == 250_000


def test_a_body_in_binary_mode_stays_byte_for_byte_whatever_its_type() -> None:
    headers, _ = binary(event("request", ROWS, datacontenttype="application/x-www-form-urlencoded"))
    body = b'{"instances":  [[1.0, 1e400, NaN]]}'
    found = binary_half(lowered(headers), body, NOW)
    assert found is not None
    assert (found.body, found.content_type) == (body, "application/x-www-form-urlencoded")


def test_what_mlserver_leaves_out_is_not_asked_for() -> None:
    headers = {"ce-id": "r1", "ce-specversion": "0.3", "ce-type": "io.seldon.serving.inference.request",
               "ce-source": "io.seldon.serving.deployment.m.n", "ce-requestid": "r1", "ce-modelid": "m",
               "ce-inferenceservicename": "iris%20two"}  # fmt: skip
    found = binary_half(headers, b"{}", NOW)
    assert found is not None
    assert (found.at_us, found.service, found.namespace) == (NOW, "iris two", "")


def test_data_that_is_no_json_comes_as_text_or_in_base64() -> None:
    document = json.loads(structured(event("request", ROWS, datacontenttype="text/csv")))
    for data in ({"data": "1,2\n"}, {"data_base64": base64.b64encode(b"1,2\n").decode()}):
        one = structured_half({**{k: v for k, v in document.items() if not k.startswith("data")}, **data}, NOW)
        assert one is not None
        assert one.body == b"1,2\n"


def test_parts_of_a_graph_and_services_of_one_name_do_not_meet() -> None:
    keys = {half(event("request", ROWS, sender=sender, **more)).key for sender, more in (
        ("kserve", {}), ("kserve", {"namespace": "test"}), ("kserve", {"endpoint": "canary"}),
        ("kserve", {"inferenceservicename": "other"}), ("seldon", {}), ("seldon", {"modelid": "router"}),
    )}  # fmt: skip
    assert len(keys) == 6
    assert half(event("request", ROWS, endpoint="canary")).arm is Arm.CANARY
    assert half(event("request", ROWS, sender="seldon")).arm is Arm.CHAMPION


def test_what_is_no_prediction_is_passed_over() -> None:
    for other in (
        event("request", ROWS, component="transformer"),
        event("request", ROWS, type="io.seldon.serving.feedback"),
    ):
        assert structured_half(json.loads(structured(other)), NOW) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"type": None}, {"id": ""}, {"id": "x" * 513}, {"id": "a\0b"}, {"id": "\ud800"}, {"id": 5},
        {"inferenceservicename": None}, {"time": "yesterday"}, {"time": "0001-01-01T00:00:00Z"},
        {"time": "1969-12-31T23:59:59Z"}, {"data_base64": "*"}, {"data_base64": "é"},
        {"data": {"instances": [[2**70]]}}, {"data": "\ud800"},
    ],
)  # fmt: skip
def test_a_malformed_event_is_refused_without_its_values(changed: dict[str, Any]) -> None:
    document = {**json.loads(structured(event("request", ROWS))), **changed}
    with pytest.raises(RefusedEvent) as raised:
        structured_half(document, NOW)
    assert raised.value.fate is Fate.MALFORMED
    assert "yesterday" not in str(raised.value)


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"5", b"[5]", b"[[]]", b"[" * 100_000])
def test_what_is_no_batch_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedEvent):
        batched_halves(body, NOW)


def test_the_entry_that_says_most_tells_the_model() -> None:
    settings = ImportSettings(("iris=models:/iris/3", "iris@canary=models:/iris/4", "iris.test=models:/trial@new",
                               "iris/router=models:/router/1"))  # fmt: skip
    for more, sender, served in (
        ({}, "kserve", Served("iris", "models:/iris/3")),
        ({"endpoint": "canary"}, "kserve", Served("iris@canary", "models:/iris/4")),
        ({"namespace": "test", "endpoint": "canary"}, "kserve", Served("iris.test", "models:/trial@new")),
        ({"modelid": "router"}, "seldon", Served("iris/router", "models:/router/1")),
        ({"inferenceservicename": "unknown"}, "kserve", None),
    ):
        assert settings.served(half(event("request", ROWS, sender=sender, **more))) == served
    for wrong in (("iris",), ("=models:/iris/3",), ("iris=",)):
        with pytest.raises(ConfigurationError, match="SERVICE=URI"):
            ImportSettings(wrong)
