#!/usr/bin/env bash
# Build the images, bring compose.yaml up and serve an image of `driftline build-image`: with Podman as root, and compose from 2.20.
#   CONTAINER_ENGINE=docker   with Docker instead
#   COMPOSE="docker compose"  the program that is asked to bring it up
# Images that cannot be pulled get stand-ins from Debian's packages, made by debootstrap: what is said of those is not said
# of the images. What was made stays for the next time, in the engine's storage and in .containers/.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/containers
work=$PWD/.containers
engine=${CONTAINER_ENGINE:-podman}
mkdir -p "$work"
./tests/install_servers.sh containers
.venv/bin/python $here/host_configuration.py "$work"
build=(env)
if [ "$engine" = podman ]; then
    export CONTAINERS_CONF=$work/run.conf
    build=(env "CONTAINERS_CONF=$work/build.conf")
fi

have() { "$engine" image inspect "$1" >/dev/null 2>&1; }
pulled() { have "$1" || timeout 300 "$engine" pull --quiet "$1" >/dev/null 2>&1; }

debian() { # debian SUITE PACKAGES: an image of Debian, without a registry
    have "localhost/debian:$1" && return
    rm -rf "$work/$1"
    debootstrap --variant=minbase --include="$2" "$1" "$work/$1" >"$work/debootstrap.log"
    ln -sf python3 "$work/$1/usr/bin/python"
    rm -rf "$work/$1"/var/cache/apt/archives/*.deb
    tar -C "$work/$1" -c . | "$engine" import - "localhost/debian:$1" >/dev/null
    rm -rf "${work:?}/$1"
}

python_image=$(sed -n 's/^ARG PYTHON_IMAGE=//p' Dockerfile)
if ! pulled "docker.io/library/$python_image"; then
    echo "stand-in: $python_image"
    debian bookworm python3,python3-venv,ca-certificates
    "$engine" tag localhost/debian:bookworm "docker.io/library/$python_image"
fi
for name in postgres prometheus alertmanager grafana; do
    image=$(sed -n "s|^    image: \(.*$name:.*\)|\1|p" compose.yaml)
    case $image in */*) image=docker.io/$image ;; *) image=docker.io/library/$image ;; esac
    pulled "$image" && continue
    echo "stand-in: $image"
    debian trixie ca-certificates,wget
    "${build[@]}" "$engine" build --quiet --format docker --build-arg DEBIAN=localhost/debian:trixie --target $name \
        --tag "$image" $here/stand_ins >/dev/null
done

if [ -z "${COMPOSE:-}" ]; then
    if docker compose version >/dev/null 2>&1; then
        COMPOSE="docker compose"
    else # one file of Debian's package
        COMPOSE=$work/docker-compose
        debian trixie ca-certificates,wget
        [ -x "$COMPOSE" ] || "$engine" run --rm --volume "$work:/out" --workdir /tmp localhost/debian:trixie sh -c \
            "apt-get -q update && apt-get -q download docker-compose && dpkg-deb -x *.deb x && cp x/usr/libexec/docker/cli-plugins/docker-compose /out" >/dev/null
    fi
fi
export COMPOSE
if [ "$engine" = podman ]; then
    export DOCKER_HOST=unix://$work/podman.sock
    podman system service --time 0 "$DOCKER_HOST" 2>"$work/service.log" &
    trap 'kill $!' EXIT
fi

tag=$(sed -n 's/^  image: \(driftline:.*\)/\1/p' compose.yaml)
# Under the name that compose asks the engine for: by its interface Podman takes short names for Docker's.
"${build[@]}" "$engine" build --quiet --tag "$tag" --tag "docker.io/library/$tag" . >/dev/null
"$engine" images --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep "/$tag "
# Containers mount what lies in the tests' folders: these are here, where nobody clears up temporary files.
BUILD_CONTAINERS_CONF=$work/build.conf CONTAINER_ENGINE=$engine PYTHON_IMAGE=$python_image \
    .venv/bin/python -m pytest -p no:cacheprovider --basetemp "$work/tests" -q -s --durations=8 $here -m containers "$@"
