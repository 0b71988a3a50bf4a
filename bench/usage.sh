#!/usr/bin/env bash
# Measures how many usage records the analytics service stores per second, on PostgreSQL and on SQLite, beside bare COPY. Usage: bench/usage.sh [--records N] [--rounds N]
# Installs PostgreSQL through apt-get when it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v initdb >/dev/null && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
  sudo=""
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  $sudo apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends postgresql >&2
fi
dotnet publish bench/Usage.Bench --configuration Release --output artifacts/bench/bin/usage --nologo --verbosity quiet >&2
exec dotnet artifacts/bench/bin/usage/MultiAgent.Bench.Usage.dll "$@"
