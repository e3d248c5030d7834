"""The same requests to `mlflow models serve`, directly and through `driftline proxy`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from proxy_rig import proxy_server
from scoring_corpus import Case, corpus
from scoring_servers import OUR_HEADERS, Answer, DriftlineServer, ScoringServer

pytestmark = pytest.mark.thorough
Pairs = dict[str, tuple[ScoringServer, DriftlineServer]]
_CASES = corpus()


@pytest.fixture(scope="module")
def proxies(pairs: Pairs, models: Path) -> Iterator[dict[str, DriftlineServer]]:
    """By model: the proxy in front of MLflow's server."""
    found = {
        name: proxy_server(
            models, f"http://127.0.0.1:{theirs.port}", f"proxy-{name}", "--model", f"models:/{name}/1",
            DRIFTLINE_LOADER_RAW_BODIES="all",
        )
        for name, (theirs, _) in pairs.items()
    }  # fmt: skip
    for server in found.values():
        server.start()
    try:
        for server in found.values():
            server.wait_ready()
        yield found
    finally:
        for server in found.values():
            server.process.terminate()
        for server in found.values():
            server.process.wait(60)


def _theirs(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    headers = {k: v for k, v in answer.headers.items() if k not in OUR_HEADERS and k != "date"}
    return answer.status, headers, answer.body


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_the_answer_through_the_proxy_is_mlflows(pairs: Pairs, proxies: dict[str, DriftlineServer], case: Case) -> None:
    direct, through = pairs[case.model][0], proxies[case.model]
    expected = direct.ask(case.method, case.path, case.body, case.headers)
    found = through.ask(case.method, case.path, case.body, case.headers)
    found_part = _theirs(found)
    if "location" in found.headers:  # it names the host that the client asked
        found_part[1]["location"] = found.headers["location"].replace(str(through.port), str(direct.port))
    assert found_part == _theirs(expected)
    assert ("date" in found.headers) == ("date" in expected.headers)
    is_invocation = case.path.partition("?")[0] == "/invocations" and "upgrade" not in case.headers
    assert set(OUR_HEADERS) & set(found.headers) == (set(OUR_HEADERS) if is_invocation else set())
