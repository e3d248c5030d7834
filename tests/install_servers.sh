#!/bin/sh
# Install the servers and programs that the tests run against: on Debian as root; elsewhere say what is missing.
# With the argument `spark` Java too, with `containers` Podman.
set -eu

missing=""
need() { # need PACKAGE PROGRAM...
    package=$1
    shift
    for program in "$@"; do
        if command -v "$program" >/dev/null 2>&1; then return; fi
        for folder in /usr/lib/postgresql/*/bin; do
            if [ -x "$folder/$program" ]; then return; fi
        done
    done
    missing="$missing $package"
}

need postgresql initdb
need prometheus promtool
need prometheus-alertmanager amtool
need chromium chromium chromium-browser google-chrome
[ "${1:-}" != spark ] || need default-jre-headless java
if [ "${1:-}" = containers ] && [ "${CONTAINER_ENGINE:-podman}" = podman ]; then
    need podman podman
    need runc runc
    need netavark netavark /usr/lib/podman/netavark
    need aardvark-dns aardvark-dns /usr/lib/podman/aardvark-dns
    need iptables iptables
    need debootstrap debootstrap
fi

[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "the tests want these programs, please install them (Debian's names):$missing" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 0
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
# The packages' own services stay off: the tests start theirs on free ports of loopback.
[ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; added=1; }
# shellcheck disable=SC2086
apt-get install -y -q --no-install-recommends $missing >/dev/null
[ -z "${added:-}" ] || rm -f /usr/sbin/policy-rc.d
