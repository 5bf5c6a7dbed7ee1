#!/bin/sh
# Usage: tools/system.sh
#
# Chromium for the browser tests and FluidSynth for rendering: installs what is missing where that needs no question
# (root and apt), else says in one line what to install. Never fails: the tests that need them are skipped, by name.
cd "$(dirname "$0")/.." || exit 0
missing=
has_chromium() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        # Ubuntu's chromium-browser may be a stub that asks for snap: only one that answers counts.
        command -v $name >/dev/null 2>&1 && $name --version >/dev/null 2>&1 && return 0
    done
    ls "${PLAYWRIGHT_BROWSERS_PATH:-$HOME/.cache/ms-playwright}"/chromium-*/ >/dev/null 2>&1
}
has_chromium || missing="$missing chromium"
command -v fluidsynth >/dev/null 2>&1 || missing="$missing fluidsynth"
ls /usr/share/sounds/sf2/*.sf2 >/dev/null 2>&1 || missing="$missing timgm6mb-soundfont"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing$missing ..."
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >/dev/null
    for package in $missing; do
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null || echo "apt could not install $package."
    done
    has_chromium || .venv/bin/python -m playwright install --with-deps chromium >/dev/null 2>&1 ||
        echo "Chromium could not be installed: the browser tests will be skipped."
else
    echo "Missing:$missing. The tests that need them are skipped; to run them all: sudo apt install$missing"
fi
exit 0
