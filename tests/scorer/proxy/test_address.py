"""The address of the server behind the proxy."""

import pytest

from driftline.scorer.proxy.address import UpstreamAddress
from driftline.store.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no server to stand in front of: name it with `--upstream http://127.0.0.1:5000`"),
        ("127.0.0.1:5000", "such as `http://127.0.0.1:5000`"),
        ("http://127.0.0.1:5000/invocations", "leave out path, query and user"),
    ],
)
def test_what_is_no_server_is_refused_with_what_to_type(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        UpstreamAddress.parse(text)
