#!/usr/bin/env bash
# A production stack on this machine, for people who want to see one: PostgreSQL, Redis, NATS, Prometheus and every service as a process
# of its own, on loopback only. Usage: eng/stack.sh up|down|status|logs [name]|kill name|start name|env
#
#   up      builds what is to run, starts what does not run yet, prints the addresses
#   down    stops everything in order; the data stays in data/stack
#   status  what runs, and what its health says
#   logs    follows the log of one process, or of all
#   kill    ends one process with kill -9, to see what the others do; start starts it again
#   env     prints the settings of the services, to run one of them (or maap) by hand: eval "$(eng/stack.sh env)"
#
# MAAP_STACK_DIR moves the data. MAAP_STACK_PORTS (default 15000) is where the ports of the backends begin, MAAP_STACK_SERVICES (default 8080) where those of
# the services do. MAAP_STACK_NATS_NODES=3 makes NATS a cluster that keeps each event three times (nats, nats-2, nats-3). MAAP_STACK_WITHOUT names what is left out.
# MAAP_STACK_BIN=Debug runs what was built for tests. MAAP_STACK_VIA tells the services to look for the backends from that port on: for a proxy in between.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=${MAAP_STACK_DIR:-$PWD/data/stack}
base=${MAAP_STACK_PORTS:-15000}
via=${MAAP_STACK_VIA:-$base}
first=${MAAP_STACK_SERVICES:-8080}
nodes=${MAAP_STACK_NATS_NODES:-1}
postgres_port=$((base + 432)) redis_port=$((base + 379)) nats_port=$((base + 222)) prometheus_port=$((base + 90))
services=(tenant-service orchestrator analytics-service api-gateway)
without=" ${MAAP_STACK_WITHOUT:-} "
declare -A port=([api-gateway]=$first [orchestrator]=$((first + 1)) [tenant-service]=$((first + 2)) [analytics-service]=$((first + 3)))
nats=(nats)
[ "$nodes" -eq 1 ] || nats=(nats nats-2 nats-3)
backends=(postgres redis "${nats[@]}" prometheus)

fail() { echo "eng/stack.sh: $*" >&2; exit 1; }
say() { echo "$*"; }

find_postgres() { # the folder of initdb: Debian keeps it off PATH
  local found
  found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
  [ -n "$found" ] && [ -x "$found/initdb" ] && { echo "$found"; return; }
  found=$(command -v initdb || true)
  [ -n "$found" ] && dirname "$found"
}

need() { # what is missing, all at once
  local packages=()
  postgres_bin=$(find_postgres || true)
  [ -n "$postgres_bin" ] || packages+=(postgresql)
  command -v redis-server >/dev/null || packages+=(redis-server)
  command -v nats-server >/dev/null || packages+=(nats-server)
  left_out prometheus || command -v prometheus >/dev/null || packages+=(prometheus)
  command -v dotnet >/dev/null || fail "the .NET 10 SDK is missing; see https://dot.net"
  [ ${#packages[@]} -eq 0 ] || fail "please install: apt-get install --no-install-recommends ${packages[*]}"
}

# PostgreSQL refuses to run as root: then its own user does it.
as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

case $nodes in 1 | 3) ;; *) fail "MAAP_STACK_NATS_NODES must be 1 or 3" ;; esac

secret() { head -c 48 /dev/urandom | base64 | tr -dc 'A-Za-z0-9' | head -c "${1:-40}"; }

secrets() { # made once, readable by nobody else
  mkdir -p "$dir" && chmod 755 "$dir"
  if [ ! -f "$dir/secrets" ]; then
    (umask 077; cat >"$dir/secrets" <<SECRETS
admin_password=$(secret)
owner_password=$(secret)
app_password=$(secret)
redis_password=$(secret)
nats_password=$(secret)
token_secret=$(secret 48)
SECRETS
    )
  fi
  # shellcheck disable=SC1091
  . "$dir/secrets"
}

# Each node of NATS has ten ports for itself: the first for clients, then for its monitoring and its cluster.
nats_urls() { # port of the first
  local urls="" i
  for i in "${!nats[@]}"; do urls+="${urls:+,}nats://maap:$nats_password@127.0.0.1:$(($1 + 10 * i))"; done
  echo "$urls"
}

settings() { # of every service
  cat <<ENV
export DATABASE_URL=postgres://maap_app:$app_password@127.0.0.1:$((via + 432))/maap
export REDIS_URL=redis://:$redis_password@127.0.0.1:$((via + 379))
export NATS_URL=$(nats_urls "$((via + 222))")
export Messaging__Nats__Replicas=${#nats[@]}
export JWT_SECRET=$token_secret
export Data__MigrateOnStart=false
$(for service in "${services[@]}"; do echo "export Services__${service//-/_}__Urls=http://127.0.0.1:${port[$service]}"; done)
ENV
}

pid_of() { # of a process that was started here and still runs
  local file="$dir/$1.pid"
  [ -f "$file" ] || return 1
  local pid
  pid=$(cat "$file")
  kill -0 "$pid" 2>/dev/null && echo "$pid"
}

start() { # name, command...
  local name=$1
  shift
  pid_of "$name" >/dev/null && return
  # A session of its own: Ctrl-C in this terminal does not reach it.
  setsid "$@" >>"$dir/$name.log" 2>&1 </dev/null &
  echo $! >"$dir/$name.pid"
}

wait_for() { # name, seconds, command...
  local name=$1 seconds=$2
  shift 2
  for _ in $(seq $((seconds * 10))); do
    "$@" >/dev/null 2>&1 && return
    pid_of "$name" >/dev/null || { tail -n 5 "$dir/$name.log" >&2; fail "$name did not start; its log is $dir/$name.log"; }
    sleep 0.1
  done
  fail "$name is not ready after $seconds s; its log is $dir/$name.log"
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
http_ok() { curl -fsS -m 2 "$1"; }

start_postgres() {
  local data="$dir/postgres"
  if [ ! -f "$data/PG_VERSION" ]; then
    mkdir -p "$data" && chmod 700 "$data"
    [ "$(id -u)" -ne 0 ] || chown postgres "$data"
    local password
    password=$(mktemp)
    printf '%s' "$admin_password" >"$password"
    [ "$(id -u)" -ne 0 ] || chown postgres "$password"
    as_postgres "$postgres_bin/initdb" -D "$data" -U postgres --auth=scram-sha-256 --pwfile="$password" -E UTF8 --locale=C.UTF-8 >>"$dir/postgres.log" 2>&1 ||
      { rm -rf "$data" "$password"; fail "initdb failed; its log is $dir/postgres.log"; }
    rm -f "$password"
  fi
  # The socket lies in the data folder: its path may be too long elsewhere, and nobody else may use it.
  if [ "$(id -u)" -eq 0 ]; then
    start postgres runuser -u postgres -- "$postgres_bin/postgres" -D "$data" -p "$postgres_port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 -c jit=off
  else
    start postgres "$postgres_bin/postgres" -D "$data" -p "$postgres_port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 -c jit=off
  fi
  wait_for postgres 30 port_open "$postgres_port"
  # The log is in before it takes connections; after a crash it recovers first.
  wait_for postgres 60 env PGPASSWORD="$admin_password" "$postgres_bin/psql" -h 127.0.0.1 -p "$postgres_port" -U postgres -c 'select 1'
  PGPASSWORD="$admin_password" "$postgres_bin/psql" -h 127.0.0.1 -p "$postgres_port" -U postgres -tAc "select 1 from pg_database where datname = 'maap'" | grep -q 1 ||
    PGPASSWORD="$admin_password" "$postgres_bin/psql" -h 127.0.0.1 -p "$postgres_port" -U postgres -qc 'create database maap'
}

migrate() {
  local maap=(dotnet "$(assembly_of maap)")
  DATABASE_ADMIN_URL="postgres://postgres:$admin_password@127.0.0.1:$postgres_port/maap" MAAP_OWNER_PASSWORD=$owner_password MAAP_APP_PASSWORD=$app_password \
    "${maap[@]}" db init-roles >>"$dir/migrate.log" 2>&1 || { tail -n 5 "$dir/migrate.log" >&2; fail "the roles could not be made"; }
  DATABASE_ADMIN_URL="postgres://maap_owner:$owner_password@127.0.0.1:$postgres_port/maap" \
    "${maap[@]}" db migrate >>"$dir/migrate.log" 2>&1 || { tail -n 5 "$dir/migrate.log" >&2; fail "the schemas could not be migrated"; }
}

start_redis() {
  (umask 077; cat >"$dir/redis.conf" <<CONF
bind 127.0.0.1
port $redis_port
requirepass $redis_password
dir $dir
appendonly yes
CONF
  )
  start redis redis-server "$dir/redis.conf"
  wait_for redis 20 port_open "$redis_port"
}

nats_number() { # name: from 0
  case $1 in nats-2) echo 1 ;; nats-3) echo 2 ;; *) echo 0 ;; esac
}

start_nats() { # name
  local number own cluster="" routes="" i
  number=$(nats_number "$1")
  own=$((nats_port + 10 * number))
  if [ ${#nats[@]} -gt 1 ]; then
    for i in "${!nats[@]}"; do routes+="${routes:+, }nats-route://127.0.0.1:$((nats_port + 10 * i + 2))"; done
    cluster="cluster { name: maap, listen: 127.0.0.1:$((own + 2)), no_advertise: true, routes: [ $routes ] }"
  fi
  (umask 077; cat >"$dir/$1.conf" <<CONF
server_name: maap-$((number + 1))
listen: 127.0.0.1:$own
http: 127.0.0.1:$((own + 1))
jetstream { store_dir: "$dir/jetstream${1#nats}" }
authorization { users: [ { user: maap, password: "$nats_password" } ] }
$cluster
CONF
  )
  start "$1" nats-server -c "$dir/$1.conf"
}

nats_ready() { # name
  wait_for "$1" 30 http_ok "http://127.0.0.1:$((nats_port + 10 * $(nats_number "$1") + 1))/healthz"
}

start_prometheus() {
  {
    echo "global: { scrape_interval: 5s }"
    echo "scrape_configs:"
    echo "  - job_name: maap"
    echo "    static_configs:"
    for service in "${services[@]}"; do
      echo "      - { targets: ['127.0.0.1:${port[$service]}'], labels: { service: $service } }"
    done
  } >"$dir/prometheus.yml"
  start prometheus prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/prometheus" --web.listen-address="127.0.0.1:$prometheus_port"
  wait_for prometheus 30 http_ok "http://127.0.0.1:$prometheus_port/-/ready"
}

publish() { # project folder of apps/
  dotnet publish "apps/$1" --configuration Release --output "artifacts/stack/$1" --nologo --verbosity quiet || fail "apps/$1 does not build"
}

assembly_of() { # a folder of apps/: the assembly to start
  local folder="artifacts/stack/$1"
  [ -z "${MAAP_STACK_BIN:-}" ] || folder="apps/$1/bin/$MAAP_STACK_BIN/net10.0"
  # One deps.json names it.
  local deps
  deps=$(ls "$folder"/*.deps.json 2>/dev/null) || fail "apps/$1 is not built"
  echo "${deps%.deps.json}.dll"
}

start_service() {
  mkdir -p "$dir/$1"
  (
    eval "$(settings)"
    MAAP_DATA_DIR="$dir/$1" start "$1" dotnet "$(assembly_of "$1")" --urls "http://127.0.0.1:${port[$1]}"
  )
}

ready() { # a service
  wait_for "$1" 90 http_ok "http://127.0.0.1:${port[$1]}/health/ready"
}

left_out() { # a name
  [[ "$without" == *" $1 "* ]]
}

start_one() {
  case $1 in
    postgres) start_postgres ;;
    redis) start_redis ;;
    nats | nats-2 | nats-3) start_nats "$1" && nats_ready "$1" ;;
    prometheus) start_prometheus ;;
    *)
      [ -n "${port[$1]:-}" ] || fail "there is no '$1'"
      start_service "$1"
      ready "$1"
      ;;
  esac
}

kill_one() {
  local pid target
  pid=$(pid_of "$1") || fail "$1 does not run"
  target=$(target_of "$1" "$pid")
  # PostgreSQL's children end when they notice that it is gone.
  kill -KILL "$target" "$pid" 2>/dev/null || true
  while kill -0 "$target" 2>/dev/null; do sleep 0.02; done
  rm -f "$dir/$1.pid"
}

up() {
  need
  secrets
  if [ -z "${MAAP_STACK_BIN:-}" ]; then
    say "Building"
    for service in maap "${services[@]}"; do publish "$service"; done
  fi
  say "Starting PostgreSQL, Redis, NATS"
  start_postgres
  start_redis
  for node in "${nats[@]}"; do start_nats "$node"; done
  for node in "${nats[@]}"; do nats_ready "$node"; done
  migrate
  for service in "${services[@]}"; do
    left_out "$service" && continue
    say "Starting $service"
    start_service "$service"
  done
  for service in "${services[@]}"; do left_out "$service" || ready "$service"; done
  left_out prometheus || start_prometheus
  say ""
  say "The platform runs at http://localhost:${port[api-gateway]} (chat page, /docs, /v1), Prometheus at http://localhost:$prometheus_port."
  for service in "${services[@]}"; do printf '  %-18s http://127.0.0.1:%s\n' "$service" "${port[$service]}"; done
  printf '  %-18s 127.0.0.1:%s\n' PostgreSQL "$postgres_port" Redis "$redis_port" NATS "$nats_port"
  # The key of the demo tenant is told once, at the first start.
  if grep -q "maap_" "$dir/tenant-service.log"; then
    say ""
    say "The first start made a tenant; its credentials are in $dir/tenant-service.log:"
    grep -E "key|password|curl" "$dir/tenant-service.log" | head -n 8
  fi
  say ""
  say "eng/stack.sh status | logs [name] | down"
}

target_of() { # name, process: of runuser the child is the server
  if [ "$1" = postgres ]; then head -n 1 "$dir/postgres/postmaster.pid" 2>/dev/null || echo "$2"; else echo "$2"; fi
}

stop() { # name, signal
  local pid
  pid=$(pid_of "$1") || { rm -f "$dir/$1.pid"; return 0; }
  local target
  target=$(target_of "$1" "$pid")
  kill "-$2" "$target" 2>/dev/null || true
  for _ in $(seq 450); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  if kill -0 "$pid" 2>/dev/null; then
    echo "eng/stack.sh: $1 did not stop within 45 s and is killed" >&2
    kill -KILL "$target" "$pid" 2>/dev/null || true
  fi
  rm -f "$dir/$1.pid"
  say "$1 stopped"
}

down() {
  # The gateway first, so that nobody asks what is stopping.
  for service in api-gateway orchestrator analytics-service tenant-service; do stop "$service" TERM; done
  stop prometheus TERM
  for node in "${nats[@]}"; do stop "$node" TERM; done
  stop redis TERM
  stop postgres INT
}

status() {
  local all=0
  for name in "${backends[@]}" "${services[@]}"; do
    local pid health=""
    if pid=$(pid_of "$name"); then
      if [ -n "${port[$name]:-}" ]; then
        health=$(curl -sS -m 3 "http://127.0.0.1:${port[$name]}/health" 2>/dev/null | sed -n 's/^{"status":"\([a-z]*\)".*/\1/p')
        [ "$health" = healthy ] || [ "$health" = ok ] || all=1
        health=${health:-no answer}
      fi
      printf '%-18s runs, process %s %s\n' "$name" "$pid" "$health"
    else
      printf '%-18s does not run\n' "$name"
      all=1
    fi
  done
  return "$all"
}

case ${1:-} in
  up) up ;;
  down) down ;;
  status) status ;;
  logs)
    files=()
    for name in ${2:-"${backends[@]}" "${services[@]}"}; do [ -f "$dir/$name.log" ] && files+=("$dir/$name.log"); done
    [ ${#files[@]} -gt 0 ] || fail "there is no log of ${2:-anything} in $dir"
    exec tail -n 50 -F "${files[@]}"
    ;;
  kill) kill_one "${2:?which one?}" ;;
  start) need; secrets; start_one "${2:?which one?}" ;;
  env) secrets; settings ;;
  *) sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
