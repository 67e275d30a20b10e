# What drills share: a service of their own, a Prometheus that scrapes it, and what one sees of both. Sourced by each drill.
# shellcheck shell=bash
set -eu -o pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
binary=${1:-$root/target/debug/staygraph}
folder=$(mktemp -d)
service='' prometheus='' url='' metrics_url=''
trap 'end' EXIT
trap 'exit 130' INT TERM

end() {
  local pid
  for pid in $service $prometheus ${others:-}; do kill -CONT "$pid" 2>/dev/null || true; kill -KILL "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$folder"
}

title() { printf '\n== %s\n' "$*"; }

# Waits until a command succeeds, 60 s at most.
until_so() {
  local deadline=$((SECONDS + ${WITHIN:-60}))
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || { printf 'not within the time: %s\n' "$*"; tail -n 20 "$folder/log"; exit 1; }
    sleep 0.1
  done
}

# Starts the service on any port, with more arguments. Sets `service` and `url`.
start() {
  : >"$folder/out"
  "$binary" serve --data "$folder/data" --model "${MODEL:-$root/model.graphql}" --listen 127.0.0.1:0 "$@" >"$folder/out" 2>>"$folder/log" </dev/null &
  service=$!
  until_so grep -qE 'https?://' "$folder/out"
  url=$(grep -oE 'https?://[0-9.:]+' "$folder/out" | head -n 1)
}

is_ready() { curl -sfk "$url/health/ready"; }

# Scrapes each second, with the alerts as they are but for their `for`: a drill has no time to wait.
watch() {
  local scheme=${url%%:*}
  mkdir -p "$folder/rules"
  sed '/^        for: /d' "$root/ops/alerts.yml" >"$folder/rules/alerts.yml"
  cat >"$folder/prometheus.yml" <<END
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [$folder/rules/alerts.yml]
scrape_configs:
  - job_name: staygraph
    scheme: $scheme
    tls_config: { insecure_skip_verify: true }
    file_sd_configs: [{ files: [$folder/targets.json], refresh_interval: 1s }]
END
  target
  prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/series" --web.listen-address=127.0.0.1:0 2>"$folder/prometheus.log" &
  prometheus=$!
  until_so grep -qE 'Listening on.*127.0.0.1:[1-9]' "$folder/prometheus.log"
  metrics_url=http://$(grep -oE 'Listening on.*address=127.0.0.1:[0-9]+' "$folder/prometheus.log" | grep -oE '127.0.0.1:[0-9]+' | head -n 1)
  until_so scraped
}

# Has Prometheus scrape the service where it is now, under the name that it always has.
target() { printf '[{ "targets": ["%s"], "labels": { "instance": "drill" } }]\n' "${url#*://}" >"$folder/targets.new" && mv "$folder/targets.new" "$folder/targets.json"; }

scraped() { curl -sf "$metrics_url/api/v1/query" --data-urlencode 'query=staygraph_ready' | grep -q '"value"'; }

# The names of alerts that fire by now.
firing() {
  curl -sf "$metrics_url/api/v1/alerts" | grep -oE '"alertname":"[A-Za-z]+"' | cut -d'"' -f4 | sort -u | tr '\n' ' '
}

fires() { firing | grep -qw "$1"; }

ask() {
  curl -sk "$url/graphql" -H 'Content-Type: application/json' -d "{\"query\":\"$1\"}"
}

# A person's event: key and sequence.
person() {
  local kind=updated
  [ "$2" != 1 ] || kind=registered
  printf '{"specversion":"1.0","id":"%s-%s","source":"/drill","type":"person.%s","subject":"%s","time":"2026-01-05T10:00:00Z","sequence":%s,"data":{"name":"%s"}}\n' "$1" "$2" "$kind" "$1" "$2" "${3:-somebody}"
}

# Sends lines of events; prints the answer without what is said of each.
send() { curl -sk "$url/events" -H 'Content-Type: application/x-ndjson' --data-binary @-; }

position_of() { grep -oE '"position":"[^"]*"' | head -n 1 | cut -d'"' -f4; }

# What one sees at this moment.
show() {
  printf -- '-- %s\n' "$1"
  printf 'freshness: %s\n' "$(ask '{ freshness { domain status cause lagEvents reason } }' | grep -oE '\{"domain":"'"${DOMAIN:-people}"'"[^}]*\}' | head -n 1 || true)"
  local name
  for name in ${METRICS:-}; do
    # Series that are 0 are left out, but for the last.
    printf 'metric:    %s\n' "$(curl -sk "$url/metrics" | grep "^$name" | sort -t ' ' -k 2 -rn | awk 'NR == 1 || $NF != 0' | head -n 3 | tr '\n' ' ' || true)"
  done
  [ -z "$metrics_url" ] || printf 'alerts:    %s\n' "$(firing || true)"
}

# The last lines of the log that hold a text.
logged() { printf 'log:       %s\n' "$(grep -E "$1" "$folder/log" | tail -n "${2:-1}" | cut -c1-300 || true)"; }
