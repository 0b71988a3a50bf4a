#!/usr/bin/env bash
# Measures the engine of runs with a model and a tool without delay: on SQLite, and on PostgreSQL with NATS. Usage: bench/engine.sh [--seconds N] [--rounds N] [--parked N] [--only embedded,postgres,rebuild,parked] [--steps turns,tools,agents]
# Installs PostgreSQL and NATS through apt-get when they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=()
command -v initdb >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || packages+=(postgresql)
command -v nats-server >/dev/null || packages+=(nats-server)
if [ ${#packages[@]} -gt 0 ]; then
  sudo=""
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  $sudo apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
fi
dotnet publish bench/Engine.Bench --configuration Release --output artifacts/bench/bin/engine --nologo --verbosity quiet >&2
exec dotnet artifacts/bench/bin/engine/MultiAgent.Bench.Engine.dll "$@"
