#!/bin/sh
# Prints the folder with promtool, which the tests of the alert rules run; gets it from Debian's package if it is missing.
# The package is unpacked into the cache folder and not installed: installing would start a Prometheus server.
set -eu

cache=${LEADRAIL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/leadrail}/promtool

fail() {
    printf 'leadrail: %s\n' "$1" >&2
    exit 1
}

if found=$(command -v promtool); then
    dirname "$found"
    exit 0
fi
if ! "$cache/usr/bin/promtool" --version >/dev/null 2>&1; then
    missing="promtool is missing: install Prometheus (Debian: apt-get install prometheus) so that promtool is on PATH."
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || fail "$missing"
    mkdir -p "$(dirname "$cache")"
    partial=$(mktemp -d "$cache-partial-XXXXXX")
    trap 'rm -rf "$partial"' EXIT
    cd "$partial"
    if ! apt-get download prometheus >&2; then
        [ "$(id -u)" = 0 ] || fail "$missing"
        apt-get update >&2 && apt-get download prometheus >&2 || fail "$missing"
    fi
    dpkg -x prometheus_*.deb unpacked
    unpacked/usr/bin/promtool --version >/dev/null 2>&1 || fail "$missing"
    rm -rf "$cache"
    mv -T unpacked "$cache" 2>/dev/null || "$cache/usr/bin/promtool" --version >/dev/null
fi
echo "$cache/usr/bin"
