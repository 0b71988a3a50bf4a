#!/usr/bin/env bash
# Runs the fault tests and puts their table into docs/reliability.md. Needs what eng/stack.sh needs, and faketime; as root also small disks of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
export CI=true
rm -f artifacts/reliability.md
dotnet test tests/Faults.Tests --nologo --verbosity quiet || failed=1
# Workflows: a crash at every write of every example, and random workflows under another seed than usual.
MAAP_FAULTS=all dotnet test tests/Orchestrator.Tests --nologo --verbosity quiet --filter "FullyQualifiedName~ExampleCrashTests|FullyQualifiedName~ExampleKillTests|FullyQualifiedName~StateMachineTests" || failed=1
[ -f artifacts/reliability.md ] || { echo "eng/reliability.sh: the tests left no table" >&2; exit 1; }
{
  sed '/<!-- table -->/q' docs/reliability.md
  echo "Of $(date -u +%Y-%m-%d), $(nproc) cores, .NET $(dotnet --list-runtimes | sed -n 's/^Microsoft.NETCore.App \([^ ]*\).*/\1/p' | tail -n 1):"
  echo
  cat artifacts/reliability.md
  sed -n '/<!-- end of table -->/,$p' docs/reliability.md
} >artifacts/reliability.tmp
mv artifacts/reliability.tmp docs/reliability.md
exit "${failed:-0}"
