import subprocess
import sys

from click.testing import CliRunner

from driftline.cli.main import COMMANDS, root


def test_every_command_of_the_table_can_be_imported_and_tells_its_use() -> None:
    for name in COMMANDS:
        shown = CliRunner().invoke(root, [name, "--help"])
        assert shown.exit_code == 0, shown.output
        assert "Usage:" in shown.output


def test_help_imports_no_heavy_library() -> None:
    script = (
        "import sys\nfrom driftline.cli.main import root\n"
        "root(['--help'], standalone_mode=False)\n"
        "print([m for m in ('mlflow', 'pandas', 'numpy', 'sqlalchemy', 'evidently') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
