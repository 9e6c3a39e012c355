# Sourced by the scripts: packages, build, and words for a person. Changes nothing when everything is there already.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export root

# What the programs are built from and with.
build_packages=(gcc cmake ninja-build pkg-config libc6-dev libssl-dev libsqlite3-dev libzmq3-dev libprotobuf-c-dev
  protobuf-c-compiler libyaml-dev libjansson-dev libpopt-dev liblbfgs-dev libopenblas-dev)
# What the scripts call besides.
script_packages=(curl ca-certificates iproute2)

say() { printf '%s\n' "$*" >&2; }

# die "sentence": the end of a script that failed.
die() {
  say "${0##*/}: $*"
  exit 1
}

# usage_error "sentence": the end of a script that was called wrongly.
usage_error() {
  say "${0##*/}: $* See ${0##*/} --help."
  exit 2
}

# need_value "$@": the option in $1 has a value in $2.
need_value() { [ $# -ge 2 ] || usage_error "$1 wants a value."; }

# need_count OPTION VALUE MINIMUM MAXIMUM
need_count() {
  if ! [[ $2 =~ ^[0-9]{1,9}$ ]] || [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
    usage_error "$1 wants a whole number from $3 to $4."
  fi
}

# need_epsilon OPTION VALUE: a privacy parameter.
need_epsilon() {
  if ! [[ $2 =~ ^[0-9]{1,4}(\.[0-9]{1,6})?$ ]] || [[ $2 =~ ^0+(\.0+)?$ ]]; then
    usage_error "$1 wants an epsilon above 0 and below 10000, such as 3."
  fi
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "packages are missing and neither root nor sudo is at hand. As root: apt-get install ${missing[*]}"
  fi
}

# prepare_packages NAME...: installs the missing ones with apt, saying which.
prepare_packages() {
  missing=()
  local name
  for name in "$@"; do
    is_installed "$name" || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "these Debian packages are needed and apt-get is not here: ${missing[*]}"
  say "Installing packages: ${missing[*]}"
  as_root apt-get -qq update || say "The package lists could not be refreshed; going on with those that are here."
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >&2 ||
    die "apt-get could not install: ${missing[*]}"
}

# prepare_build PRESET [TARGET...]: configures once, then builds what changed.
prepare_build() {
  local preset=$1 log
  shift
  log=$root/build/$preset.log
  if ! mkdir -p "$root/build" 2>/dev/null || ! [ -w "$root/build" ]; then
    die "$root/build cannot be written; copy the repository to a folder of yours, or build as its owner."
  fi
  if [ ! -f "$root/build/$preset/build.ninja" ]; then
    say "Configuring build/$preset"
    (cd "$root" && cmake --preset "$preset") >"$log" 2>&1 || {
      rm -f "$root/build/$preset/build.ninja"
      tail -n 30 "$log" >&2
      die "cmake could not configure the preset '$preset'; all of it is in build/$preset.log."
    }
  fi
  if ! cmake --build "$root/build/$preset" ${1+--target "$@"} >"$log" 2>&1; then
    grep -nE 'error|FAILED|undefined reference' "$log" | head -n 20 >&2
    die "the build of the preset '$preset' failed; all of it is in build/$preset.log."
  fi
}

# The programs that scripts run: those of DATASITE_BIN, or the release build.
prepare_programs() {
  if [ -z "${DATASITE_BIN:-}" ]; then
    prepare_packages "${build_packages[@]}" "${script_packages[@]}"
    prepare_build release datasite orchestrator
    DATASITE_BIN=$root/build/release/bin
  fi
  if ! [ -x "$DATASITE_BIN/datasite" ] || ! [ -x "$DATASITE_BIN/orchestrator" ]; then
    die "DATASITE_BIN is $DATASITE_BIN, and the programs datasite and orchestrator are not there."
  fi
  export DATASITE_BIN
}

# started_at PID: a number that a process and no later one of the same id has; empty when there is none.
started_at() { awk '{ sub(/^.*\) /, ""); print $20 }' "/proc/$1/stat" 2>/dev/null || true; }

# need_partition VALUE: how rows are divided between sites.
need_partition() {
  [[ $1 =~ ^(iid|label-skew|dirichlet:[0-9]+(\.[0-9]+)?)$ ]] ||
    usage_error "--partition takes iid, label-skew or dirichlet:ALPHA, not '$1'."
  ! [[ $1 =~ ^dirichlet:0+(\.0+)?$ ]] || usage_error "--partition dirichlet:ALPHA wants an ALPHA above 0."
}

# Where fetched data is kept.
cache_directory() {
  [ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] ||
    die "neither HOME nor XDG_CACHE_HOME is set, so there is no place for fetched data; set one of them."
  printf '%s/datasite' "${XDG_CACHE_HOME:-$HOME/.cache}"
}
