#!/bin/sh
# Does it run on a Debian 12 that has nothing but its base?
#   sh deploy/verify-root.sh FILE      the program, or a package of it (twolane_..._amd64.deb)
# As root, with debootstrap and curl. Bootstraps bookworm into a folder of its own and takes it away
# again; TWOLANE_ROOT names one that is there already, which is copied. What runs inside runs as
# nobody. Exit code 0: all is well; 1: the line that says why not begins with "no".
set -eu
what=${1:?the program or the package}
here=$(cd "$(dirname "$0")" && pwd)
for tool in debootstrap curl; do
    command -v $tool >/dev/null 2>&1 || { echo "no  $tool is needed: apt-get install $tool"; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "no  only root may chroot"; exit 1; }

root=$(mktemp -d /tmp/twolane-root.XXXXXX)
# It is everybody's root.
chmod 755 "$root"
started=""
leave() {
    for one in $started; do kill -KILL "$one" 2>/dev/null || true; done
    ! mountpoint -q "$root/proc" || umount "$root/proc"
    # Never beyond the folder's own file system.
    rm -rf --one-file-system "$root"
}
trap leave EXIT
said() { printf '%-4s %s\n' "$1" "$2"; [ "$1" = ok ] || exit 1; }
inside() { chroot --userspec=65534:65534 "$root" /usr/bin/env -i PATH=/usr/bin:/bin "$@"; }
# Milliseconds of the wall.
now() { date +%s%3N; }
# The process of a chroot that was started in the background: `exec` keeps the number.
serve() { # LOG PROGRAM ARGUMENTS
    log=$1
    shift
    chroot --userspec=65534:65534 "$root" /usr/bin/env -i PATH=/usr/bin:/bin "$@" >"$root/tmp/$log" 2>&1 &
    started="$started $!"
}

if [ -n "${TWOLANE_ROOT:-}" ]; then
    cp -a "$TWOLANE_ROOT/." "$root/"
else
    debootstrap --variant=minbase bookworm "$root" >"$root.log" 2>&1 || { tail -5 "$root.log"; said no "debootstrap fails"; }
    rm -f "$root.log"
fi
mkdir -p "$root/proc"
mount -t proc proc "$root/proc"
before=$(chroot "$root" dpkg-query -W | wc -l)
said ok "Debian $(cat "$root/etc/debian_version"), $before packages"

case "$what" in
*.deb)
    cp "$what" "$root/tmp/twolane.deb"
    chroot "$root" dpkg --install /tmp/twolane.deb >"$root/tmp/install.log" 2>&1 \
        || { cat "$root/tmp/install.log"; said no "the package cannot be installed"; }
    said ok "installed: $(chroot "$root" dpkg-query -W -f '${Package} ${Version} ${Status}' twolane)"
    for file in usr/bin/twolane lib/systemd/system/twolane.service usr/share/man/man1/twolane.1.gz \
        usr/share/bash-completion/completions/twolane usr/share/doc/twolane/copyright; do
        [ -s "$root/$file" ] || [ -s "$root/usr/$file" ] || said no "/$file is not there"
    done
    conffiles=$(chroot "$root" dpkg-query -W -f '${Conffiles}' twolane)
    case "$conffiles" in *"/etc/twolane/twolane.yaml"*) ;; *) said no "an upgrade would take the configuration: $conffiles" ;; esac
    inside TWOLANE_NODES=127.0.0.1:6001 twolane check --config /etc/twolane/twolane.yaml >"$root/tmp/check.log" 2>&1 \
        || { cat "$root/tmp/check.log"; said no "its own configuration is refused"; }
    said ok "unit, manual, completions, conffile; twolane check accepts /etc/twolane/twolane.yaml"
    # An editor finds the schema from where each file is.
    schemas=0
    for file in $(chroot "$root" dpkg-query -L twolane | grep '\.yaml$'); do
        named=$(sed -n 's/^# yaml-language-server: $schema=//p' "$root$file")
        case "$named" in
        "") said no "$file names no schema" ;;
        /*) found=$root$named ;;
        *) found=$root$(dirname "$file")/$named ;;
        esac
        inside twolane schema | cmp -s - "$found" || said no "$file names a schema that is not there or another one: $named"
        schemas=$((schemas + 1))
    done
    [ "$schemas" -gt 2 ] || said no "only $schemas configurations were found"
    said ok "$schemas configurations name the schema where it is"
    after=$(chroot "$root" dpkg-query -W | wc -l)
    [ "$after" = $((before + 1)) ] || said no "$((after - before)) packages came with it"
    ;;
*) install -m 755 "$what" "$root/usr/bin/twolane" ;;
esac
size=$(stat -c %s "$root/usr/bin/twolane")
said ok "$(inside twolane --version), $((size / 1024 / 1024)) MiB"
missing=$(chroot "$root" ldd /usr/bin/twolane | grep 'not found' || true)
[ -z "$missing" ] || said no "libraries are missing: $missing"
said ok "needs $(chroot "$root" ldd /usr/bin/twolane | awk '{print $1}' | xargs -n1 basename | sort | xargs)"

data=127.0.0.1:${DATA_PORT:-25002} admin=127.0.0.1:${ADMIN_PORT:-25012} node=127.0.0.1:${NODE_PORT:-26001}
cat >"$root/etc/gateway.yaml" <<YAML
listen: $data
admin: { listen: "$admin" }
nodes: ["$node"]
health: { interval: 250ms }
YAML
inside twolane check --config /etc/gateway.yaml >"$root/tmp/check.log" 2>&1 \
    || { cat "$root/tmp/check.log"; said no "check refuses the configuration"; }
said ok "check: $(tail -1 "$root/tmp/check.log")"

serve node.log twolane node --listen "$node"
until curl -sf -m 1 -o /dev/null "http://$node/health/check"; do
    kill -0 $! 2>/dev/null || { cat "$root/tmp/node.log"; said no "the stand-in daemon ended"; }
done
begin=$(now)
serve gateway.log twolane run --config /etc/gateway.yaml
gateway=$!
call() {
    curl -s -m 5 -X POST "http://$data/plugin/00000000-0000-0000-0000-000000000000/dispatch/tool/invoke" \
        -H 'X-Plugin-ID: langgenius/openai' -H 'Content-Type: application/json' \
        -d '{"user_id":"u","data":{"provider":"demo","tool":"t","tool_parameters":{}}}'
}
until call | grep -q '"data"'; do
    kill -0 "$gateway" 2>/dev/null || { cat "$root/tmp/gateway.log"; said no "the gateway ended"; }
    [ $(($(now) - begin)) -lt 60000 ] || { call; cat "$root/tmp/gateway.log"; said no "no answer in a minute"; }
done
said ok "first answer through it after $(($(now) - begin)) ms"
inside twolane health --admin "$admin" || said no "health says no"
inside twolane health --ready --admin "$admin" || said no "health --ready says no"
PLUGIN=langgenius/openai BODY='{"user_id":"u","data":{"provider":"demo","tool":"t","tool_parameters":{}}}' \
    sh "$here/verify.sh" "http://$data" "http://$admin" >"$root/tmp/verify.log" \
    || { cat "$root/tmp/verify.log"; said no "verify.sh says no"; }
resident=$(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$gateway/status")
[ "$resident" -lt 64 ] || said no "$resident MiB are resident, at rest"
said ok "health and verify.sh; $resident MiB resident, user $(awk '/^Uid/ { print $2 }' "/proc/$gateway/status")"
begin=$(now)
kill -TERM "$gateway"
code=0
wait "$gateway" || code=$?
[ "$code" = 0 ] || { cat "$root/tmp/gateway.log"; said no "it ended with $code"; }
said ok "SIGTERM: ended with 0 after $(($(now) - begin)) ms"
if [ -f "$root/var/lib/dpkg/info/twolane.list" ]; then
    chroot "$root" dpkg --purge twolane >"$root/tmp/purge.log" 2>&1 || { cat "$root/tmp/purge.log"; said no "it cannot be purged"; }
    [ ! -e "$root/usr/bin/twolane" ] && [ ! -e "$root/etc/twolane" ] || said no "purge left something"
    said ok "purged"
fi
