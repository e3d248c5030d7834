#!/usr/bin/env bash
# Run the test of the Datadog Agent's OpenMetrics check in an environment of its own, .datadog/. With DOWNLOADS_OPTIONAL=1
# it is left out where the check cannot be downloaded; without, that is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=.datadog
inputs=(pyproject.toml tests/datadog/requirements.txt)
if [ ! -e $folder/.installed ] || [ -n "$(find "${inputs[@]}" -newer $folder/.installed)" ]; then
    "${PYTHON:-python3}" -m venv --clear $folder
    # The catalogue alone is wanted of driftline, so what it depends on is not.
    if ! "$folder/bin/python" -m pip install --quiet --requirement tests/datadog/requirements.txt pytest pytest-timeout \
        || ! "$folder/bin/python" -m pip install --quiet --no-deps --editable .; then
        echo "left out: the test of the Datadog check, it cannot be downloaded" >&2
        [ -n "${DOWNLOADS_OPTIONAL:-}" ] || exit 1
        exit 0
    fi
    touch $folder/.installed
fi
$folder/bin/python -m pytest -p no:cacheprovider --noconftest -q tests/datadog -m datadog
