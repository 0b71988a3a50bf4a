#!/usr/bin/env bash
# Measures the event bus end to end beside the bare NATS client. Usage: bench/bus.sh [--events N] [--rounds N]
# Installs nats-server through apt-get when it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v nats-server >/dev/null; then
  sudo=""
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  $sudo apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends nats-server >&2
fi
dotnet publish bench/Bus.Bench --configuration Release --output artifacts/bench/bin/bus --nologo --verbosity quiet >&2
exec dotnet artifacts/bench/bin/bus/MultiAgent.Bench.Bus.dll "$@"
