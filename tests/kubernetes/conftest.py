"""What kustomize makes of the example and of the base, once for all tests of this room."""

import pytest
from kubernetes_rig import FOLDER, Resources, rendered


@pytest.fixture
def example() -> Resources:
    """The example with all that it can have."""
    return rendered(FOLDER / "example")


@pytest.fixture
def base() -> Resources:
    """What every overlay begins with."""
    return rendered(FOLDER / "base")
