#!/usr/bin/env bash
# Runs layers of the tests in the order given, stops at the first that fails, and ends with each runner's own counts.
#   hack/test.sh lint unit component chart e2e
# A layer with `+` before it goes on beside those after it, at the lowest priority, and is waited for at the end:
#   hack/test.sh lint component chart +unit e2e
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE # as in the Makefile

RUN=${RUN:-uv run --frozen --all-extras}
OUTER=${SLUICE_TEST_LOGS:-} # set where this runs beside another
LOGS=${OUTER:-$(mktemp -d)}
started_cluster=no
beside=() # process groups
current=  # the file that what runs now writes to

finish() {
  status=$?
  for group in "${beside[@]}"; do kill -- "-$group" 2>/dev/null || true; done
  [ "$started_cluster" = no ] || $RUN python -m hack.cluster down || status=1
  [ -z "$OUTER" ] || exit "$status"
  cat "$LOGS"/*.beside 2>/dev/null || true
  # Once more where the end of a long run is all that is looked at.
  if [ "$status" != 0 ] && [ -e "$current" ]; then say "the end of what failed, $(basename "$current")" && tail -n 25 "$current"; fi
  printf '\n'
  for log in "$LOGS"/*.log; do
    [ -e "$log" ] && printf '%-10s %s\n' "$(basename "$log" .log)" "$(grep -E '(passed|failed|error|no tests ran).* in ' "$log" | tail -1 | tr -d '=')"
  done
  rm -rf "$LOGS"
  exit "$status"
}
trap finish EXIT

say() { printf '\n\033[1m── %s\033[0m\n' "$1"; }

layer() {
  say "$1"
  current=$LOGS/$1.log && shift
  $RUN python -m pytest -q -rfE --durations=5 "$@" 2>&1 | tee "$current"
}

# Before the tests, not in their midst: half of them would wait for a build that takes both processors from the others,
# and nobody would see it progress.
programs() {
  current=
  $RUN python -m hack.cluster build
}

# Low priority is that of the group, where sessions are groups of their own to the scheduler.
start_beside() {
  SLUICE_TEST_LOGS="$LOGS" setsid bash -c 'echo 19 2>/dev/null >/proc/self/autogroup || true; exec nice -n 19 "$0" "$1"' "$0" "$1" \
    >"$LOGS/$1.beside" 2>&1 &
  beside+=($!)
}

# shellcheck disable=SC2086 # RUN is a command line
for what in "$@"; do
  case $what in
    lint)
      say lint
      $RUN ruff format --check .
      $RUN ruff check .
      # Kept outside the checkout: a fresh clone of known sources is checked in seconds, by their content.
      $RUN mypy --cache-dir "${SLUICE_CACHE:-$HOME/.cache/sluice}/mypy"
      $RUN lint-imports
      $RUN python -m sluice.api crds/ --docs docs/reference/api.md --check
      $RUN python -m sluice.catalogue docs/reference/controls.md --check
      test ! -e operator/__init__.py || { echo "operator/__init__.py breaks Python's own operator module" >&2; exit 1; }
      ;;
    unit)
      # The core's own tests take every branch of it. To measure that doubles their time, and would that of all others.
      layer core tests/unit/core --numprocesses=auto --cov --cov-report=term-missing:skip-covered --cov-fail-under=100
      layer unit tests/unit --ignore=tests/unit/core --numprocesses=auto --dist=loadgroup
      ;;
    component)
      programs
      # Four API servers, because these tests mostly wait; the tests of a file share one, in an order that can be
      # repeated, and so do files that need the same costly thing (tests/component/conftest.py). Files in the order of
      # their names but for the longest: by the number of their tests, those with few slow ones would come last, and the
      # other workers wait.
      layer component tests/component -p no:randomly --numprocesses=4 --dist=loadgroup --no-loadscope-reorder
      ;;
    chart)
      programs
      layer chart tests/chart
      ;;
    e2e)
      if ! $RUN python -m hack.cluster status >/dev/null 2>&1; then started_cluster=yes; fi
      current=$LOGS/cluster.up
      $RUN python -m hack.cluster up 2>&1 | tee "$current"
      layer e2e-alone tests/e2e -p no:randomly -m alone
      # Three at a time: they mostly wait for pods. More, and the pods wait for a processor.
      layer e2e tests/e2e -p no:randomly -m "not alone and not soak" --numprocesses=3
      ;;
    +lint | +unit | +component | +chart)
      say "${what#+}, beside what follows"
      start_beside "${what#+}"
      ;;
    *)
      echo "no such layer: $what (there are lint, unit, component, chart, e2e)" >&2
      exit 2
      ;;
  esac
done

current= # what fails from here on has said so above
failed=no
while [ ${#beside[@]} -gt 0 ]; do
  wait "${beside[0]}" || failed=yes
  beside=("${beside[@]:1}")
done
[ "$failed" = no ]
