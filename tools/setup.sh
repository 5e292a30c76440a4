#!/usr/bin/env bash
# Installs what building and testing thixo needs on Debian 12, and nothing that is there already:
# apt packages (as root or with sudo), then .venv with the pinned requirements-dev.txt. Quiet when all is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(
  g++ cmake ninja-build ccache git ca-certificates
  llvm-19-dev lld-19 clang-19 clang-format-19 libclang-rt-19-dev        # code generator, linker, formatter, fuzzing
  libdnnl-dev                                                           # contractions on x86-64
  libgtest-dev libbenchmark-dev nlohmann-json3-dev libcli11-dev libfmt-dev
  qemu-user g++-aarch64-linux-gnu libc6-dev-arm64-cross                 # AArch64 kernels, run here
)
command -v node >/dev/null || packages+=(nodejs)                        # runs the WebAssembly kernels

# A Python is good enough for development when it is >= 3.11 (NumPy asks for it), can make environments and has its C headers.
good_python() {
  "$1" -c '
import ensurepip, os, sys, sysconfig, venv
sys.exit(sys.version_info < (3, 11) or not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' 2>/dev/null
}
python=
for candidate in "${THIXO_PYTHON:-python3}" python3.13 python3.12 python3.11 /usr/bin/python3; do
  if good_python "$candidate"; then python=$candidate; break; fi
done
[ -n "$python" ] || packages+=(python3 python3-venv python3-dev)

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# dpkg-query fails when it knows nothing of a package: that is an answer, not an error.
installed=" $({ dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' "${packages[@]}" 2>/dev/null || true; } |
  sed -n 's/^ii *//p' | tr '\n' ' ') "
missing=()
for package in "${packages[@]}"; do
  [[ $installed == *" $package "* ]] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "setup: adding Debian packages: ${missing[*]}"
  log=$(mktemp)
  if ! { as_root apt-get update -qq &&
         as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"; } \
       >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup: apt could not install the packages above (the log is $log)" >&2
    exit 1
  fi
  rm -f "$log"
fi
if [ -z "$python" ]; then
  python=/usr/bin/python3
  good_python "$python" || { echo "setup: $python is too old or has no headers: development needs Python >= 3.11" >&2; exit 1; }
fi

# The environment is made anew when the requirements or the Python behind it change.
stamp=$("$python" -c 'import sys; print(sys.version.split()[0])')-$(sha256sum <requirements-dev.txt | cut -c1-16)
if [ "$(cat .venv/.stamp 2>/dev/null)" != "$stamp" ]; then
  echo "setup: making .venv with Python ${stamp%-*} and requirements-dev.txt"
  rm -rf .venv
  "$python" -m venv .venv
  .venv/bin/python -m pip install -qq --disable-pip-version-check --only-binary :all: -r requirements-dev.txt
  echo "$stamp" >.venv/.stamp
fi
