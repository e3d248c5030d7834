"""The image that compose.yaml runs comes out the same each time it is built."""

import re

import pytest
import yaml
from container_stack import ENGINE, ROOT, assert_same_image, build, engine

pytestmark = [pytest.mark.containers, pytest.mark.timeout(3600)]

IMAGE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["scorer"]["image"]
BUILT = ("driftline-containers-product:once", "driftline-containers-product:again")


@pytest.mark.skipif(ENGINE != "podman", reason="Docker does it another way, by hand: docs/containers.md")
def test_two_builds_without_a_cache_make_the_same_image() -> None:
    for tag in BUILT:  # a cache would bring layers with a time of their own
        build(ENGINE, "build", "--no-cache", "--timestamp", "0", "--tag", tag, str(ROOT))
    assert_same_image(*BUILT)


def test_driftline_is_built_by_the_pinned_setuptools() -> None:
    pinned = re.search(r"setuptools==([\d.]+)", (ROOT / "Dockerfile").read_text())
    wheel = "cat /opt/driftline/lib/python*/site-packages/driftline-*.dist-info/WHEEL"
    printed = engine("run", "--rm", "--entrypoint", "sh", IMAGE, "-c", wheel)
    assert pinned
    assert f"Generator: setuptools ({pinned[1]})" in printed.splitlines()
