# SPDX-License-Identifier: Apache-2.0
# Sourced by ./run and ./test: the Python environment that a lock file describes, made once and then only looked at.
# `environment_ready LOCK...` is the quick look; `environment_make LOCK` makes it. Sets and reads: root, venv.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=${PRIVYSEAL_VENV:-$root/.venv}

say() { printf '%s\n' "$*" >&2; }

give_up() { # WHAT, WHY, COMMAND: the error shape of the whole product
    printf 'error: %s\n  why   %s\n  mend  %s\n' "$1" "$2" "$3" >&2
    exit 1
}

# What the stamp of an environment must say: content of the lock, version of Python, this checkout.
environment_stamp() {
    local digest
    digest=$(sha256sum <"$1")
    printf '%s %s %s' "${digest%% *}" "$("$venv/bin/python" -V 2>/dev/null)" "$root"
}

environment_ready() {
    local lock stamp=
    [[ -x $venv/bin/python && -f $venv/privyseal.stamp ]] || return 1
    stamp=$(<"$venv/privyseal.stamp")
    for lock in "$@"; do
        [[ $stamp != "$(environment_stamp "$lock")" ]] || return 0
    done
    return 1
}

# The distribution's own Python when PATH leads to it and it can make an environment: distributions build theirs with
# profile and link-time optimisation, which a pyenv build usually lacks, and it gets security updates with the system.
# Else the first of the usual names that is really there (a pyenv shim may only pretend) and new enough.
find_python() {
    local name own=/usr/bin/python3
    if [[ :$PATH: == *:/usr/bin:* ]] &&
        "$own" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 &&
        { "$own" -c 'import ensurepip, venv' || "$own" -m pip --version; } >/dev/null 2>&1; then
        echo "$own"
        return
    fi
    for name in python3.13 python3.12 python3.11 python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
    give_up "Python 3.11 or newer was not found" "looked for python3.13, python3.12, python3.11 and python3" \
        "sudo apt-get install -y python3 python3-venv     (Ubuntu 22.04: python3.11 python3.11-venv)"
}

# Fills `pip` with the command that installs into $venv. Debian's python3 alone brings neither ensurepip nor pip.
make_empty_environment() {
    local python=$1 package
    if "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        "$python" -m venv --clear "$venv" >&2
        return
    fi
    if "$python" -m pip --version >/dev/null 2>&1 && "$python" -m venv --clear --without-pip "$venv" >&2; then
        return
    fi
    package=${python##*/}-venv
    [[ "$(python3 -V 2>/dev/null)" != "$("$python" -V)" ]] || package=python3-venv
    give_up "$python cannot make an environment" "it was installed without its venv part, and without pip" \
        "sudo apt-get install -y $package"
}

pip_install() {
    local python=$1
    shift
    if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        PIP_USER=0 "$venv/bin/python" -m pip "$@" >&2
    else
        PIP_USER=0 "$python" -m pip --python "$venv/bin/python" "$@" >&2
    fi
}

environment_make() ( # a subshell, so that the lock ends with it
    set -euo pipefail
    lock=$1
    mkdir -p "$venv" || give_up "$venv cannot be made" "no permission, or no space" "PRIVYSEAL_VENV=DIRECTORY ./run"
    exec 9<"$venv"
    [[ -z "$(type -P flock)" ]] || flock 9 # two first starts at once: one sets up, the other waits
    if environment_ready "$lock"; then exit 0; fi

    python=$(find_python)
    say "Setting up, once: packages of ${lock##*/} into $venv"
    # An environment that is not marked as finished, or is of another Python, is never built upon.
    wanted=$("$python" -V)
    if [[ ! -f $venv/privyseal.stamp || "$("$venv/bin/python" -V 2>/dev/null)" != "$wanted" ]]; then
        make_empty_environment "$python"
    fi
    rm -f "$venv/privyseal.stamp"
    pip_install "$python" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$lock" ||
        give_up "the packages could not be installed" "pip said why, above; most often the network or a proxy" \
            "./run     (again, when pip can reach its package index: python3 -m pip config list)"
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n' "$root/src" >"$site/privyseal.pth"
    environment_stamp "$lock" >"$venv/privyseal.stamp.new"
    mv "$venv/privyseal.stamp.new" "$venv/privyseal.stamp"
    say "Ready."
)
