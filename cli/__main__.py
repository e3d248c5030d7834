"""``python -m driftline.cli``: the console script, for an environment whose folder of programs is not on PATH."""

from driftline.cli.main import main

if __name__ == "__main__":
    main()
