#!/usr/bin/env bash
# Run the tests of the model frameworks in an environment of their own, .flavors/. With DOWNLOADS_OPTIONAL=1 a framework
# that cannot be downloaded is left out and its test skipped; without, it is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/flavors
folder=.flavors
install=("$folder/bin/python" -m pip install --quiet --constraint constraints.txt)
if [ -n "${DOWNLOADS_OPTIONAL:-}" ]; then install=(timeout 1200 "${install[@]}"); fi

install_frameworks() {
    if "${install[@]}" --requirement $here/requirements.txt; then return; fi
    [ -n "${DOWNLOADS_OPTIONAL:-}" ] || return 1
    grep -v '^#' $here/requirements.txt | while read -r framework; do
        "${install[@]}" "$framework" || echo "left out: $framework" >&2
    done
}

inputs=(pyproject.toml constraints.txt $here/requirements.txt)
if [ ! -e $folder/.installed ] || [ -n "$(find "${inputs[@]}" -newer $folder/.installed)" ]; then
    "${PYTHON:-python3}" -m venv --clear $folder
    if ! "${install[@]}" --editable '.[monitor,postgresql]' pytest pytest-timeout pytest-xdist requests; then
        [ -n "${DOWNLOADS_OPTIONAL:-}" ] || exit 1
        echo "left out: the tests of the frameworks, nothing can be downloaded" >&2
        exit 0
    fi
    install_frameworks
    touch $folder/.installed
fi
$folder/bin/python -m pytest -p no:cacheprovider -q --durations=8 $here -m flavors
