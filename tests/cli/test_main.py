import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from driftline.cli.main import COMMANDS, root


def test_every_command_of_the_table_can_be_imported_and_tells_its_use() -> None:
    for name in COMMANDS:
        shown = CliRunner().invoke(root, [name, "--help"])
        assert shown.exit_code == 0, shown.output
        assert "Usage:" in shown.output


@pytest.mark.parametrize(
    ("missing", "arguments", "remedy"),
    [("apscheduler", ["monitor"], "driftline[monitor]"), ("statsmodels", ["demo", "--train-only"], "demo]")],
)
def test_a_missing_extra_is_one_line_that_names_it(
    tmp_path: Path, missing: str, arguments: list[str], remedy: str
) -> None:
    script = (
        f"import sys\nsys.modules[{missing!r}] = None\nsys.argv = ['driftline', *{arguments!r}]\n"
        "from driftline.cli.main import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("driftline: this command needs the package")
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("group", ["reference", "store"])
def test_no_summary_of_a_command_is_cut_off(group: str) -> None:
    shown = CliRunner().invoke(root, [group, "--help"], terminal_width=80).output.partition("Commands:")[2]
    assert shown
    assert "..." not in shown


def test_help_imports_no_heavy_library() -> None:
    script = (
        "import sys\nfrom driftline.cli.main import root\n"
        "root(['--help'], standalone_mode=False)\n"
        "print([m for m in ('mlflow', 'pandas', 'numpy', 'sqlalchemy', 'evidently') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_mistyped_command_is_told_which_one_it_resembles() -> None:
    shown = CliRunner().invoke(root, ["drfit", "churn"])
    assert (shown.exit_code, shown.output.splitlines()[-1]) == (
        2,
        "Error: No such command 'drfit'. Did you mean 'drift'?",
    )
    assert "Did you mean" not in CliRunner().invoke(root, ["xyz"]).output
