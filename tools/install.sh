#!/bin/sh
# Usage: tools/install.sh app|workshop|dev [python]
#
# Makes .venv and installs the pinned versions into it, each file by its sum or not at all: `app` is the light set (ONNX
# Runtime, no torch) that runs the dashboard, `workshop` adds what the lessons train with, `dev` evaluation and the tests.
# Stamps make a second call return at once.
set -eu
cd "$(dirname "$0")/.."
set_name=$1
python=${2:-python3}
venv=.venv
case $(uname -s) in MINGW* | MSYS* | CYGWIN*) bin=$venv/Scripts ;; *) bin=$venv/bin ;; esac  # Windows has another place
stamp=$venv/.installed-$set_name
pins=requirements/$set_name.txt
torch=requirements/torch.txt

[ -e "$pins" ] || { echo "usage: tools/install.sh app|workshop|dev [python]" >&2; exit 1; }

say() { printf '%s\n' "$*"; }
die() { say "$*" >&2; exit 1; }

if [ -e "$stamp" ] && [ -z "$(find pyproject.toml "$pins" "$torch" -newer "$stamp")" ]; then
    exit 0
fi

if [ ! -x $bin/python ] || ! $bin/python -m pip --version >/dev/null 2>&1; then
    command -v "$python" >/dev/null || die "Python is missing: install Python 3.10 or newer (python3)."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        die "$("$python" --version) is too old: install Python 3.10 or newer, then: make PYTHON=python3.12 ..."
    say "Creating $venv with $("$python" --version) ..."
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then  # Debian and Ubuntu ship it apart
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
        else
            die "Python's venv module is missing: sudo apt install python3-venv"
        fi
    fi
    rm -rf $venv
    "$python" -m venv $venv
fi

pip() { $bin/python -m pip --disable-pip-version-check -qq "$@"; }
case $set_name in
app) say "Installing the app (pinned versions, no torch; a few minutes the first time) ..." ;;
dev) say "Installing everything for development and tests (pinned versions; some minutes the first time) ..." ;;
workshop) say "Installing what the lessons need (pinned versions, with torch; some minutes the first time) ..." ;;
esac
pip install --require-hashes --no-deps -r "$pins"
# torch last and by itself: it has a build for each kind of machine, and finds what else it needs installed.
[ "$set_name" = app ] || pip install -r "$torch"
# The plain kind of editable install: type checkers find it too.
pip install --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
touch "$stamp"
