#!/usr/bin/env bash
# All that needs neither root nor the lab: what `npm test` and `make test` run.
#
# Usage: tools/test.sh
# Needs: the npm packages (npm ci), shellcheck, and Go for the lab's stand-ins.
# Changes: nothing in the project; Go's and jest's caches.
# Runs every check even when one fails, prints a line for each and a closing one; ends with 1 when
# any has failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Seconds that one check may take; the first run of Go's compiles the providers.
LIMIT=900
failed=()
total=0
# Tests, over all runners.
passed_tests=0 failed_tests=0 skipped_tests=0
started=$SECONDS
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Runs a check; shows what it printed when it fails. $1: its name, the rest: the command.
check() {
  local name=$1 start=$SECONDS
  shift
  total=$((total + 1))
  if timeout --foreground "$LIMIT" "$@" >"$log" 2>&1; then
    printf '  ok    %-12s %3d s  %s\n' "$name" "$((SECONDS - start))" "$(summary "$log")"
  else
    failed+=("$name")
    printf '  FAIL  %-12s %3d s\n' "$name" "$((SECONDS - start))"
    sed 's/^/        /' "$log"
  fi
  passed_tests=$((passed_tests + $(count passed)))
  failed_tests=$((failed_tests + $(count failed)))
  skipped_tests=$((skipped_tests + $(count skipped)))
}

# Tests that the last check's runner counted as $1.
count() {
  local number
  number=$(summary "$log" | grep -oE "[0-9]+ $1" | cut -d' ' -f1) || true
  echo "${number:-0}"
}

# What a test runner says it ran.
summary() {
  sed -n 's/^Tests: *//p' "$1" | tail -n 1
}

need() {
  command -v "$1" >/dev/null || {
    echo "npm test needs $1: $2" >&2
    exit 1
  }
}

go_checks() {
  cd lab/go
  local unformatted
  unformatted=$(gofmt -l cmd internal)
  if [[ -n $unformatted ]]; then
    printf 'gofmt would change:\n%s\n' "$unformatted"
    return 1
  fi
  go vet ./...
  local status=0 out
  out=$(go test -v ./...) || status=$?
  # Of what passed only the number; the summary is jest's, so that both are read alike.
  grep -vE '^ *(=== |--- (PASS|SKIP)|\?  )' <<<"$out" || true
  printf 'Tests: %d failed, %d skipped, %d passed\n' "$(grep -c '^--- FAIL' <<<"$out")" \
    "$(grep -c '^--- SKIP' <<<"$out")" "$(grep -c '^--- PASS' <<<"$out")"
  return "$status"
}
export -f go_checks

need node "install Node.js 22 or newer"
need shellcheck "install the Debian package shellcheck"
need go "Go 1.26 or newer builds and tests the lab's stand-ins (https://go.dev/dl/)"
[[ -d node_modules ]] || {
  echo "npm test needs the npm packages: run npm ci" >&2
  exit 1
}

check format npm run -s format:check
check lint npm run -s lint
check types npm run -s typecheck
check shellcheck npm run -s lint:shell
check tests npm run -s test:unit
check go bash -euo pipefail -c go_checks

verdict() {
  echo "$1"
  echo "$passed_tests passed, $failed_tests failed, $skipped_tests skipped"
}

if ((${#failed[@]})); then
  verdict "npm test: ${#failed[@]} of $total checks failed (${failed[*]}) in $((SECONDS - started)) s"
  exit 1
fi
verdict "npm test: all $total checks passed in $((SECONDS - started)) s"
