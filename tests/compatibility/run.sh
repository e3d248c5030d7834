#!/usr/bin/env bash
# Run the contract tests with the oldest and the newest versions that driftline supports, each in an environment of its
# own under .compat/: `tests/compatibility/run.sh [oldest] [newest]`. With DOWNLOADS_OPTIONAL=1 an environment that cannot
# be installed is left out; without, it is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/compatibility
contract=(
    $here
    tests/scorer/fast_path/test_matrix.py
    tests/scorer/test_byte_compatibility.py
    tests/scorer/test_capture.py
    tests/scorer/test_model_source.py
    tests/scorer/test_start.py
    tests/store/payload
    tests/store/test_migrate.py
    tests/store/test_prediction_columns.py
    tests/store/test_prediction_tables.py
)

install() { # install NAME; again only when something that decides on it has changed
    local folder=.compat/$1 constraints=()
    if [ -e "$here/$1-constraints.txt" ]; then constraints=(--constraint "$here/$1-constraints.txt"); fi
    if [ -e "$folder/.installed" ] && [ -z "$(find pyproject.toml $here/*.txt -newer "$folder/.installed")" ]; then return; fi
    "${PYTHON:-python3}" -m venv --clear "$folder" \
        && "$folder/bin/python" -m pip install --quiet --upgrade pip \
        && "$folder/bin/python" -m pip install --quiet --editable '.[postgresql]' \
            -r "$here/$1.txt" -r $here/tests.txt "${constraints[@]}" \
        && touch "$folder/.installed"
}

[ $# -gt 0 ] || set -- oldest newest
for name in "$@"; do
    echo "== $name"
    if ! install "$name"; then
        [ -n "${DOWNLOADS_OPTIONAL:-}" ] || exit 1
        echo "left out: the $name versions cannot be installed here" >&2
        continue
    fi
    ".compat/$name/bin/python" -m pip list 2>/dev/null \
        | grep -iE '^(mlflow|pandas|numpy|sqlalchemy|fastapi|starlette|uvicorn) ' || true
    ".compat/$name/bin/python" -m pytest -p no:cacheprovider -q "${contract[@]}"
done
