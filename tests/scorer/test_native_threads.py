"""Workers share the cores."""

from driftline.scorer.native_threads import VARIABLES, native_thread_limits


def test_each_worker_gets_its_share_of_the_cores() -> None:
    assert native_thread_limits(2, {}, cores=8) == dict.fromkeys(VARIABLES, "4")
    assert native_thread_limits(3, {}, cores=8) == dict.fromkeys(VARIABLES, "2")


def test_more_workers_than_cores_get_one_thread_each() -> None:
    assert set(native_thread_limits(16, {}, cores=4).values()) == {"1"}


def test_one_worker_changes_nothing() -> None:
    assert native_thread_limits(1, {}, cores=8) == {}


def test_what_the_user_has_set_stays() -> None:
    limits = native_thread_limits(2, {"OMP_NUM_THREADS": "7"}, cores=8)
    assert "OMP_NUM_THREADS" not in limits
    assert limits["MKL_NUM_THREADS"] == "4"


def test_the_cores_are_those_of_this_process() -> None:
    assert all(int(value) >= 1 for value in native_thread_limits(2, {}).values())
