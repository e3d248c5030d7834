"""Tokens from a file: who holds one, and what happens when the file changes or breaks."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from driftline.store.bearer_tokens import BearerTokens
from driftline.store.errors import ConfigurationError

ALICE, NAMELESS = "a1ice-Secret.0/+~_", "bm9ib2R5=="


class Clock:
    """Seconds that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"# who may ask\n\nalice:{ALICE}\n  {NAMELESS}  \n")
    return path


@pytest.fixture
def tokens(file: Path, clock: Clock) -> BearerTokens:
    return BearerTokens(file, "--token-file", clock)


def _replace(file: Path, text: str) -> None:
    """Put another file in its place, as an editor or Kubernetes does."""
    new = file.with_name("new")
    new.write_text(text)
    os.replace(new, file)


def test_the_holder_of_a_token_is_its_name_or_its_line(tokens: BearerTokens) -> None:
    assert tokens.holder(f"Bearer {ALICE}".encode()) == "alice"
    assert tokens.holder(f"bearer  {NAMELESS} ".encode()) == "line 4"


@pytest.mark.parametrize(
    "authorization",
    [
        b"", b"Bearer", b"Bearer ", f"Bearer {ALICE}x".encode(), f"Bearer {ALICE[:-1]}".encode(), ALICE.encode(),
        f"Basic {ALICE}".encode(), f"Bearer alice:{ALICE}".encode(), b"Bearer # who may ask", b"Bearer \xff\x00",
    ],
)  # fmt: skip
def test_anything_else_has_no_holder(tokens: BearerTokens, authorization: bytes) -> None:
    assert tokens.holder(authorization) is None


def test_no_token_is_kept_or_shown(tokens: BearerTokens) -> None:
    held = repr(tokens) + repr(vars(tokens))
    assert ALICE not in held
    assert NAMELESS not in held
    assert repr(tokens).endswith("2 tokens)")


def test_a_file_that_changes_is_read_again_within_a_second(tokens: BearerTokens, file: Path, clock: Clock) -> None:
    _replace(file, "carol:new-token\n")
    assert tokens.holder(f"Bearer {ALICE}".encode()) == "alice"
    clock.now += 1.1
    assert tokens.holder(f"Bearer {ALICE}".encode()) is None
    assert tokens.holder(b"Bearer new-token") == "carol"


def test_a_change_is_logged_with_names_alone(
    tokens: BearerTokens, file: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    _replace(file, "carol:a-Secret\nb-Secret\n")
    clock.now += 1.1
    assert tokens.holder(b"Bearer a-Secret") == "carol"
    assert [record.getMessage() for record in caplog.records] == [f"{file} was read again: tokens of carol, line 2"]


def test_a_file_that_is_written_over_is_read_again(tokens: BearerTokens, file: Path, clock: Clock) -> None:
    file.write_text("carol:new-token\n")
    clock.now += 1.1
    assert tokens.holder(b"Bearer new-token") == "carol"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: _replace(file, ""),
        lambda file: _replace(file, "# none\n"),
        lambda file: _replace(file, "two words and-a-Secret\n"),
        lambda file: file.unlink(),
    ],
    ids=["empty", "comments", "broken", "gone"],
)
def test_a_file_that_is_gone_broken_or_empty_takes_nothing_away_and_is_told_once(
    tokens: BearerTokens, file: Path, clock: Clock, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], object]
) -> None:
    spoil(file)
    for _ in range(3):
        clock.now += 1.1
        assert tokens.holder(f"Bearer {ALICE}".encode()) == "alice"
    (told,) = caplog.records
    assert told.levelno == logging.ERROR
    assert str(file) in told.getMessage()
    assert "Secret" not in told.getMessage()
    _replace(file, "carol:new-token\n")
    clock.now += 1.1
    assert tokens.holder(b"Bearer new-token") == "carol"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no token"),
        ("\n# only words\n", "no token"),
        ("good\nbad Secret token\n", "line 2"),
        ("na me:Secret\n", "line 1"),
        ("alice:Sec ret\n", "line 1"),
        ("alice:b\u00e4rSecret\n", "line 1"),
        ("x" * 1_000_001, "larger"),
    ],
)
def test_a_file_without_tokens_is_refused_at_the_start_without_a_word_of_it(
    tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "tokens"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=words) as error:
        BearerTokens(file, "--token-file")
    assert "Sec" not in str(error.value)


def test_a_missing_file_names_its_flag(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--metrics-token-file"):
        BearerTokens(tmp_path / "nothing", "--metrics-token-file")


@pytest.mark.parametrize(("mode", "readable"), [(0o644, True), (0o640, False), (0o600, False)])
def test_whether_everybody_can_read_it_is_known(tokens: BearerTokens, file: Path, mode: int, readable: bool) -> None:
    file.chmod(mode)
    assert tokens.readable_by_everyone is readable
