#!/usr/bin/env bash
# Makes bench/peers/.venv, or makes it anew, where a lock has changed since: web has the Flask and FastAPI services and
# what trains the estimators, mlserver has MLServer.
set -euo pipefail
peers="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

find_python() {
  local candidate
  for candidate in python3 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "The peers need Python 3.11 or 3.12 (MLServer works with no newer one), and find none on PATH." >&2
  return 1
}

# make_environment NAME LOCK
make_environment() {
  local folder="$peers/.venv/$1" lock="$peers/$2"
  cmp --silent "$lock" "$folder/requirements.lock" && return
  local system_python
  system_python="$(find_python)"
  echo "Installing the packages of $2 into bench/peers/.venv/$1" >&2
  "$system_python" -m venv --clear "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$lock" >&2
  cp "$lock" "$folder/requirements.lock" # last, so that an interrupted installation is done again
}

make_environment web requirements.lock
make_environment mlserver requirements-mlserver.lock
