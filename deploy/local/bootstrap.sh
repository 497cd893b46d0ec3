#!/bin/sh
# Makes .venv what uv.lock says, on a machine that has nothing but Python 3.11 or newer. Called by the Makefile.
# Downloads go to the user's cache folder; nothing is installed outside it and this checkout.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cache=${LEADRAIL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/leadrail}
uv_wanted='uv>=0.9,<1' # reads the lock file's revision
export PIP_ROOT_USER_ACTION=ignore # as root pip warns of what --target does not do

fail() {
    printf 'leadrail: %s\n' "$1" >&2
    exit 1
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_new_enough "$PYTHON" || fail "PYTHON is '$PYTHON', which is not Python 3.11 or newer: set it to one that is."
        command -v "$PYTHON"
        return
    fi
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if is_new_enough "$candidate"; then
            # Asked for its own path: a version manager's shim in front of it depends on the current folder.
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    fail "Python 3.11 or newer is missing: install it (Debian: apt-get install python3 python3-venv) or set PYTHON to its path."
}

find_uv() {
    if uv --version >/dev/null 2>&1; then
        command -v uv
        return
    fi
    # uv's own folder, so that a Python managed by the system or by somebody else stays as it is.
    own=$cache/uv
    if ! "$own/bin/uv" --version >/dev/null 2>&1; then
        echo "leadrail: getting uv into $own" >&2
        rm -rf "$own"
        mkdir -p "$cache"
        partial=$(mktemp -d "$cache/uv-partial-XXXXXX")
        # --target and not a virtual environment: Debian's python3 comes without the parts that make one.
        if "$1" -m pip --version >/dev/null 2>&1; then
            "$1" -m pip install --quiet --target "$partial" "$uv_wanted" >&2 ||
                fail "uv could not be downloaded: check the network or pip's proxy settings, or install uv yourself."
        elif "$1" -m venv "$partial/venv" >/dev/null 2>&1; then
            "$partial/venv/bin/python" -m pip install --quiet --target "$partial" "$uv_wanted" >&2 ||
                fail "uv could not be downloaded: check the network or pip's proxy settings, or install uv yourself."
            rm -rf "$partial/venv"
        else
            rm -rf "$partial"
            fail "$1 has neither pip nor venv to get uv with: install one (Debian: apt-get install python3-venv) or install uv."
        fi
        # Another checkout may have been first: theirs is as good.
        "$1" -c 'import os, sys; os.rename(*sys.argv[1:])' "$partial" "$own" 2>/dev/null || rm -rf "$partial"
    fi
    echo "$own/bin/uv"
}

# Everything that decides what .venv must hold.
fingerprint() {
    (cd "$root" && cat uv.lock pyproject.toml shared/pyproject.toml services/*/pyproject.toml deploy/local/pyproject.toml \
        tools/pyproject.toml deploy/local/bootstrap.sh | cksum)
}

stamp=$root/.venv/leadrail-synced
if [ -x "$root/.venv/bin/python" ] && [ -z "${PYTHON:-}" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint)" ] &&
    is_new_enough "$root/.venv/bin/python"; then
    exit 0
fi

python=$(find_python)
uv=$(find_uv "$python")
if [ -x "$root/.venv/bin/python" ] && [ -z "${PYTHON:-}" ] && is_new_enough "$root/.venv/bin/python"; then
    python=$root/.venv/bin/python
fi
echo "leadrail: installing the locked packages into .venv ($("$python" --version))" >&2
# UV_PROJECT_ENVIRONMENT and VIRTUAL_ENV of the caller would send the packages elsewhere.
(cd "$root" && unset UV_PROJECT_ENVIRONMENT VIRTUAL_ENV &&
    UV_PYTHON_DOWNLOADS=never "$uv" sync --quiet --locked --all-packages --python "$python") ||
    fail "the locked packages could not be installed: see uv's message above; without network, run once where there is one."
fingerprint >"$stamp"
