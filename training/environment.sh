# Sourced by train and test: sets $training (this folder) and $python (that of training/.venv,
# which is made, or made anew, when requirements.lock has changed since).

training="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="$training/.venv/bin/python"

# The trainer runs on all cores by processes; threads below them would only get in the way.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

find_python() {
  local candidate
  for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "The trainer needs Python 3.11 or newer, and finds none on PATH." >&2
  return 1
}

make_environment() {
  local lock="$training/requirements.lock" stamp="$training/.venv/requirements.lock"
  cmp --silent "$lock" "$stamp" && return
  local system_python
  system_python="$(find_python)"
  echo "Installing the trainer's packages into training/.venv" >&2
  "$system_python" -m venv --clear "$training/.venv"
  "$python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$lock" >&2
  cp "$lock" "$stamp" # last, so that an interrupted installation is done again
}

make_environment
