"""Each framework's model once, for all tests of it."""

import pytest
from flavor_rig import Served, serve_and_ask

FLAVORS = ("sklearn", "xgboost", "lightgbm", "onnx", "pytorch", "keras", "params", "tensor")


@pytest.fixture(scope="module", params=FLAVORS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """The model of one framework, after both servers have answered the same requests."""
    return serve_and_ask(request.param, tmp_path_factory.mktemp(request.param))
