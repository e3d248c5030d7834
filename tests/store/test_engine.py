import subprocess
import sys


def test_the_object_mapper_is_whole_before_threads_use_a_store() -> None:
    """A comparison with an enum fails in a thread where another thread is just importing SQLAlchemy's object mapper."""
    script = "import sys, driftline.store.engine\nprint('sqlalchemy.orm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
