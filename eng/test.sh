#!/usr/bin/env bash
# Builds everything and runs all tests on a fresh machine. Installs what is missing. Ends with "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/.."

# From here on a missing server is a failure and no reason to skip.
export CI=true
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1
results=artifacts/test-results
rm -rf "$results"
mkdir -p "$results"

fail() { echo "eng/test.sh: $*" >&2; exit 1; }

command -v dotnet >/dev/null || fail "the .NET 10 SDK is missing; see https://dot.net"

# Chromium for the chat page, node for the official OpenAI client, NATS for the event bus.
packages=()
command -v nats-server >/dev/null || packages+=(nats-server)
command -v chromium >/dev/null || packages+=(chromium)
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
if [ ${#packages[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || fail "please install: ${packages[*]}"
  sudo=""
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  echo "Installing ${packages[*]}"
  { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >"$results/install.log" 2>&1 ||
    { tail -20 "$results/install.log" >&2; fail "the packages could not be installed"; }
fi

# The clients that the tests drive as a user would.
(cd tests/clients && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || fail "the npm clients could not be installed"

dotnet build MultiAgentPlatform.slnx --nologo --verbosity quiet -p:WarningLevel=4 || fail "the build failed"

# One project after the other: on two cores the processes that the tests start would starve each other.
status=0
for project in tests/*.Tests/*.csproj; do
  name=$(basename "$project" .csproj)
  echo "== $name"
  timeout 900 dotnet test "$project" --no-build --nologo --verbosity quiet --logger "trx;LogFileName=$name.trx" --results-directory "$results" || status=1
  [ -f "$results/$name.trx" ] || { echo "eng/test.sh: $name left no results" >&2; status=1; }
done

# The counts come from the result files, not from what the runner printed.
total=0 passed=0 failed=0
for trx in "$results"/*.trx; do
  [ -f "$trx" ] || continue
  counters=$(grep -o '<Counters [^>]*>' "$trx" | head -n 1)
  value() { echo "$counters" | sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p"; }
  total=$((total + $(value total)))
  passed=$((passed + $(value passed)))
  failed=$((failed + $(value failed) + $(value error) + $(value timeout) + $(value aborted)))
done
[ "$passed" -gt 0 ] || status=1
[ "$failed" -eq 0 ] || status=1
[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
echo "$passed passed, $failed failed, $((total - passed - failed > 0 ? total - passed - failed : 0)) skipped"
exit "$status"
