#!/usr/bin/env bash
# Known randomness is in tests and in no program. Usage: given_noise.sh TEST PROGRAM...
# TEST is a test that has it, so that this one would see it.
set -u
given='noise_given|__wrap_'
has_given() { nm "$1" | grep -qE "$given"; }
test=$1
shift
has_given "$test" || {
  echo "nm does not show known randomness in $test, where it is: this test would find nothing"
  exit 1
}
failed=0
for program in "$@"; do
  nm "$program" | grep -q ' T main$' || {
    echo "nm shows no symbols of $program"
    failed=1
  }
  if has_given "$program"; then
    echo "$program has known randomness in it: $(nm "$program" | grep -E "$given" | head -n 1)"
    failed=1
  fi
done
exit $failed
