#!/usr/bin/env bash
# Measures the gateway beside bare YARP and Portkey, and agent runs beside other agent servers. Usage: bench/run.sh [--seconds N] [--only json,stream,...]
# Installs what is missing (wrk, node and npm through apt-get, Portkey through npm), builds in Release, runs, reports.
set -euo pipefail
cd "$(dirname "$0")/.."

artifacts=artifacts/bench
bin=$artifacts/bin
portkey_version=1.15.2
mkdir -p "$artifacts"

install_tools() {
  local packages=()
  command -v wrk >/dev/null || packages+=(wrk)
  if wants portkey || wants peers; then
    command -v node >/dev/null || packages+=(nodejs)
    command -v npm >/dev/null || packages+=(npm)
  fi
  [ ${#packages[@]} -eq 0 ] && return
  local sudo=""
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  echo "Installing ${packages[*]}" >&2
  $sudo apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
}

install_portkey() {
  local folder=$artifacts/portkey
  grep -qs "\"$portkey_version\"" "$folder/package.json" && [ -d "$folder/node_modules" ] && return
  mkdir -p "$folder"
  # Portkey's streams break with newer versions of @hono/node-server.
  cat >"$folder/package.json" <<JSON
{
  "private": true,
  "dependencies": { "@portkey-ai/gateway": "$portkey_version" },
  "overrides": { "@hono/node-server": "1.13.8" }
}
JSON
  (cd "$folder" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error >&2) ||
    { rm -rf "$folder"; echo "Portkey could not be installed; it will be reported as missing." >&2; }
}

# Other agent servers, at the versions of bench/peers/package-lock.json; Mastra's is bundled by its own tool.
install_peers() {
  local folder=$artifacts/peers
  mkdir -p "$folder"
  cp -r bench/peers/. "$folder"
  [ -f "$folder/.mastra/output/index.mjs" ] && return
  (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 && MASTRA_TELEMETRY_DISABLED=1 npx mastra build >&2) ||
    echo "The other agent servers could not be installed; those will be reported as missing." >&2
}

publish() { # project, folder
  [ -d "$1" ] || { rm -rf "${bin:?}/$2"; return 0; }
  echo "Building $1" >&2
  dotnet publish "$1" --configuration Release --output "$bin/$2" --nologo --verbosity quiet >&2
}

# Whether a scenario is among those asked for with --only; without --only all are.
wants() {
  [[ ",${only:-$1}," == *",$1,"* ]]
}

only=""
previous=""
for argument in "$@"; do
  case $argument in
    -h | --help) sed -n '2,3s/^# //p' "$0"; exit 0 ;;
  esac
  [ "$previous" = --only ] && only=$argument
  previous=$argument
done

install_tools
wants portkey && install_portkey
wants peers && install_peers
publish bench/AllocationProbe probe
publish bench/FakeProvider fake-provider
publish bench/Yarp yarp
publish apps/platform platform
publish bench/Gateway.Bench harness

exec dotnet "$bin/harness/MultiAgent.Bench.Gateway.dll" --artifacts "$artifacts" "$@"
