#!/usr/bin/env bash
# Builds the container images from the one Dockerfile: all of them, or those that are named.
#   bash eng/images.sh                       maap/platform, maap/api-gateway … with the tag latest
#   bash eng/images.sh orchestrator          one of them
#   IMAGE_PREFIX=registry.example/maap IMAGE_TAG=1.2.3 PUSH=true bash eng/images.sh
set -euo pipefail
cd "$(dirname "$0")/.."

all=(platform api-gateway orchestrator tenant-service analytics-service maap)
prefix=${IMAGE_PREFIX:-maap}
tag=${IMAGE_TAG:-latest}

fail() { echo "eng/images.sh: $*" >&2; exit 1; }

command -v docker >/dev/null || fail "docker is missing; see https://docs.docker.com/engine/install"
[ $# -gt 0 ] || set -- "${all[@]}"
for service in "$@"; do
  [ -f Dockerfile ] && [ -n "$(find "apps/$service" -maxdepth 1 -name '*.csproj' 2>/dev/null)" ] || fail "there is no service '$service'; choose from: ${all[*]}"
done

for service in "$@"; do
  echo "== $prefix/$service:$tag"
  docker build --build-arg "SERVICE=$service" --tag "$prefix/$service:$tag" .
  if [ "${PUSH:-false}" = true ]; then docker push "$prefix/$service:$tag"; fi
done
