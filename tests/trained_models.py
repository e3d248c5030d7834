"""The models of the scorer's tests, in an MLflow store of their own."""

import subprocess
import sys
from pathlib import Path


def train(folder: Path) -> Path:
    """Train and register linear, actor and typed in a folder, in a process of its own; return the folder."""
    script = Path(__file__).parent / "scorer" / "models" / "train.py"
    subprocess.run([sys.executable, script, folder], check=True, capture_output=True, cwd=folder)
    return folder
