#!/bin/sh
# Usage: tools/install.sh app|workshop|dev [python]
#
# Makes .venv and installs the pinned versions into it: `app` is the light set (ONNX Runtime, no torch) that runs the
# dashboard, `dev` adds training, evaluation and the tests. Stamps make a second call return at once.
set -eu
cd "$(dirname "$0")/.."
set_name=$1
python=${2:-python3}
venv=.venv
stamp=$venv/.installed-$set_name
# The lessons' packages are some of those for development.
case $set_name in workshop) pins=requirements/dev.txt ;; *) pins=requirements/$set_name.txt ;; esac

say() { printf '%s\n' "$*"; }
die() { say "$*" >&2; exit 1; }

if [ -e "$stamp" ] && [ -z "$(find pyproject.toml "$pins" -newer "$stamp")" ]; then
    exit 0
fi

if [ ! -x $venv/bin/python ] || ! $venv/bin/python -m pip --version >/dev/null 2>&1; then
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

pip() { $venv/bin/python -m pip --disable-pip-version-check -qq "$@"; }
case $set_name in
app)
    say "Installing the app (pinned versions, no torch; a few minutes the first time) ..."
    pip install -c "$pins" -e ".[app]"
    ;;
dev)
    say "Installing everything for development and tests (pinned versions; some minutes the first time) ..."
    # torch first and alone, so that nothing that needs it can choose another build.
    pip install "$(grep '^torch==' "$pins" | sed 's/ *;.*//')"
    pip install -c "$pins" -e ".[app,train,evaluate,musicxml,test]"
    ;;
workshop)
    say "Installing what the lessons need (pinned versions, with torch; some minutes the first time) ..."
    pip install "$(grep '^torch==' "$pins" | sed 's/ *;.*//')"
    pip install -c "$pins" -e ".[app,train,evaluate]"
    ;;
*) die "usage: tools/install.sh app|workshop|dev [python]" ;;
esac
touch "$stamp"
