#!/bin/sh
# Make the secrets that compose.yaml reads: random, once; what is there is kept.
#   sh deploy/make_secrets.sh [FOLDER]      default: deploy/secrets
# The folder is closed to other users of this machine. The files in it are readable, because a container's user is
# another one than yours and sees the file alone, not the folder.
set -eu

folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"
umask 022
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
write() { # write FILE CONTENT
    [ -s "$folder/$1" ] || printf '%s\n' "$2" >"$folder/$1"
}

write .gitignore '*'
write postgres_password "$(random)"
write grafana_admin_password "$(random)"
write driftline.toml "store = \"postgresql+psycopg://driftline:$(cat "$folder/postgres_password")@postgres:5432/driftline\"

# Sooner than the defaults, so that a first look shows something; see docs/configuration.md.
[monitor]
drift_interval_seconds = 60
reference_interval_seconds = 60
export_bins = true
[performance]
interval_seconds = 60
[quality]
interval_seconds = 300
[multivariate]
interval_seconds = 300"
echo "secrets lie in $folder; Grafana's user is admin, its password in grafana_admin_password"
