#!/bin/sh
# Is a running gateway well? Seed 000's steps: nodes, statistics, the leader, one call of a plugin.
#   sh deploy/verify.sh [DATA_URL [ADMIN_URL]]
# TWOLANE_ADMIN_TOKEN opens the admin listener. TENANT, PLUGIN, OPERATION and BODY describe the call;
# without PLUGIN none is sent. Exit code 0: all is well; 1: the line that says so begins with "no".
set -eu
data=${1:-http://127.0.0.1:5002}
admin=${2:-http://127.0.0.1:5012}
command -v curl >/dev/null 2>&1 || { echo "no  curl is needed"; exit 1; }
failed=0
said() { printf '%-4s %s\n' "$1" "$2"; [ "$1" = ok ] || failed=1; }
ask() { curl -sS -m 5 -H "Authorization: Bearer ${TWOLANE_ADMIN_TOKEN:-}" "$admin$1" | tr -d ' \n'; }

if curl -sS -m 5 -f -o /dev/null "$data/health/check"; then said ok "data port answers: $data"
else said no "data port does not answer: $data"; fi
if curl -sS -m 5 -f -o /dev/null "$admin/readyz"; then said ok "ready: $admin"
else said no "not ready: $admin; see $admin/status"; fi

nodes=$(ask /cluster/nodes) || nodes=""
up=$(printf '%s' "$nodes" | grep -o '"status":"up"' | wc -l | tr -d ' ')
if [ "$up" -gt 0 ]; then said ok "nodes up: $up"; else said no "no node is up: $nodes"; fi
stats=$(ask /cluster/stats) || stats=""
case "$stats" in "{"*) said ok "statistics are there" ;; *) said no "no statistics: $stats" ;; esac
leader=$(ask /cluster/master) || leader=""
case "$leader" in "{"*) said ok "leader: $leader" ;; *) said no "no leader: $leader" ;; esac

if [ -n "${PLUGIN:-}" ]; then
    body=${BODY:-}
    [ -n "$body" ] || body='{}'
    path="/plugin/${TENANT:-00000000-0000-0000-0000-000000000000}/dispatch/${OPERATION:-tool/invoke}"
    code=$(curl -sS -m 60 -o /dev/null -w '%{http_code}' -X POST "$data$path" \
        -H "X-Api-Key: ${PLUGIN_DAEMON_KEY:-}" -H "X-Plugin-ID: $PLUGIN" \
        -H 'Content-Type: application/json' -d "$body") || code=000
    if [ "$code" = 200 ]; then said ok "$PLUGIN answers"; else said no "$PLUGIN: status $code"; fi
fi
exit $failed
