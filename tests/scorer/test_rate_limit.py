"""Token buckets: what a caller gets, and what it costs to remember many of them."""

import pytest

from driftline.scorer.rate_limit import RateLimit, network


class Clock:
    """Seconds that the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _taken(limit: RateLimit, caller: str, tries: int) -> int:
    return sum(limit.wait_seconds(caller) == 0 for _ in range(tries))


def test_a_caller_gets_the_burst_at_once_and_then_the_rate(clock: Clock) -> None:
    limit = RateLimit(2.0, 5, clock)
    assert _taken(limit, "a", 20) == 5
    clock.now += 1.0
    assert _taken(limit, "a", 20) == 2
    clock.now += 3600
    assert _taken(limit, "a", 20) == 5


def test_the_wait_is_the_time_until_there_is_one_to_take(clock: Clock) -> None:
    limit = RateLimit(0.5, 1, clock)
    assert limit.wait_seconds("a") == 0
    assert limit.wait_seconds("a") == 2.0
    clock.now += 1.5
    assert limit.wait_seconds("a") == 0.5
    clock.now += 0.5
    assert limit.wait_seconds("a") == 0


def test_asking_too_often_does_not_put_off_the_next(clock: Clock) -> None:
    limit = RateLimit(1.0, 1, clock)
    answered = 0
    for _ in range(10 * 8):
        clock.now += 0.125
        answered += limit.wait_seconds("a") == 0
    assert answered == 10


@pytest.mark.parametrize(("per_second", "at_once"), [(10.0, 10), (2.5, 2), (0.1, 1)])
def test_without_a_burst_it_is_what_a_second_gives_and_at_least_one(
    clock: Clock, per_second: float, at_once: int
) -> None:
    assert _taken(RateLimit(per_second, 0, clock), "a", 20) == at_once


def test_one_callers_requests_cost_another_nothing(clock: Clock) -> None:
    limit = RateLimit(1.0, 3, clock)
    _taken(limit, "a", 100)
    assert _taken(limit, "b", 100) == 3


def test_memory_is_bounded_and_the_longest_unused_bucket_goes(clock: Clock) -> None:
    limit = RateLimit(1.0, 2, clock, buckets=100)
    for number in range(1000):
        limit.wait_seconds(f"passing {number}")
        limit.wait_seconds("constant")
    assert len(limit._levels) == 100
    assert limit.wait_seconds("constant") > 0
    assert limit.wait_seconds("passing 0") == 0


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),
        ("fe80::1", "fe80::2"),
        ("testclient", "testclient"),
        ("no:address", "no:address"),
    ],
)
def test_addresses_of_one_ipv6_network_are_one_caller(address: str, same: str) -> None:
    assert network(address) == network(same)
    assert network("2001:db8:1:2::1") != network("2001:db8:1:3::1")
    assert network("10.0.0.1") != network("10.0.0.2")
