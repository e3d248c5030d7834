#!/usr/bin/env bash
# Run the tests of Spark in an environment of their own, .spark/, on a local cluster of two executor processes. They need
# Java 17. With DOWNLOADS_OPTIONAL=1 they are left out where Spark cannot be downloaded or Java is missing; without, that
# is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=.spark

left_out() {
    echo "left out: the tests of Spark, $1" >&2
    [ -n "${DOWNLOADS_OPTIONAL:-}" ] || exit 1
    exit 0
}

install=("$folder/bin/python" -m pip install --quiet --constraint constraints.txt)
if [ -n "${DOWNLOADS_OPTIONAL:-}" ]; then install=(timeout 1200 "${install[@]}"); fi
command -v java >/dev/null 2>&1 || left_out "there is no Java: install openjdk-17-jre-headless (Debian's name)"
inputs=(pyproject.toml constraints.txt tests/spark/requirements.txt)
if [ ! -e $folder/.installed ] || [ -n "$(find "${inputs[@]}" -newer $folder/.installed)" ]; then
    "${PYTHON:-python3}" -m venv --clear $folder
    "${install[@]}" --editable '.[spark]' --requirement tests/spark/requirements.txt pytest pytest-timeout \
        || left_out "Spark cannot be downloaded"
    touch $folder/.installed
fi
$folder/bin/python -m pytest -p no:cacheprovider -q --durations=5 tests/spark -m spark
