#!/bin/sh
# Installs what is missing to build and test twolane on Debian or Ubuntu, and says so.
# What is named behind it is installed as well: `setup.sh haproxy`.
set -eu

if ! command -v cargo >/dev/null 2>&1; then
    echo "twolane needs a Rust toolchain: see https://rustup.rs, then run this again" >&2
    exit 1
fi

missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need cmake cmake
need cc gcc
need c++ g++
need make make
need redis-server redis-server
need openssl openssl
for wanted in "$@"; do
    case "$wanted" in
    chromedriver) need chromedriver chromium-driver ;;
    *) need "$wanted" "$wanted" ;;
    esac
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing:$missing; install them with your package manager, then run this again" >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "missing:$missing; as root: apt-get install$missing" >&2
        exit 1
    fi
    as_root=sudo
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of package names
$as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
echo "installed:$missing"
