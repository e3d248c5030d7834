"""Ownership by flock."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from driftline.store.spool.lock import Lock, is_held


def test_one_taker_holds_it_until_release(tmp_path: Path) -> None:
    lock = Lock.take(tmp_path)
    assert lock is not None
    assert Lock.take(tmp_path) is None
    assert is_held(tmp_path)
    lock.release()
    lock.release()
    assert not is_held(tmp_path)
    again = Lock.take(tmp_path)
    assert again is not None
    again.release()


def test_a_folder_without_a_lock_file_has_no_owner(tmp_path: Path) -> None:
    assert not is_held(tmp_path)


def test_the_kernel_frees_it_when_its_owner_is_killed(tmp_path: Path) -> None:
    script = """
import sys, time
from pathlib import Path
from driftline.store.spool.lock import Lock
lock = Lock.take(Path(sys.argv[1])); print("held", flush=True); time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert Lock.take(tmp_path) is None
        child.send_signal(signal.SIGKILL)
        child.wait()
    lock = Lock.take(tmp_path)
    assert lock is not None
    lock.release()


def test_a_forked_child_that_lives_on_does_not_keep_it(tmp_path: Path) -> None:
    lock = Lock.take(tmp_path)
    assert lock is not None
    lock.keep_from_children()
    parent, child = socket.socketpair()
    pid = os.fork()
    if not pid:
        parent.close()
        child.send(b"alive")
        child.recv(1)
        os._exit(0)
    child.close()
    assert parent.recv(5) == b"alive"
    lock.release()
    taken = Lock.take(tmp_path)
    parent.close()
    os.waitpid(pid, 0)
    assert taken is not None
    taken.release()
