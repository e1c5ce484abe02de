#!/bin/sh
# Says what a job finds on this runner, and proves that it reaches GitLab over verified TLS.
# Runs inside the job's container; needs sh and, for the TLS check, curl (installed when missing).
# Writes health.txt beside itself. Fails when GitLab cannot be reached or does not know the job.
set -eu

say() {
  printf '%s\n' "$1" | tee -a health.txt
}

# The first readable file of several, else what follows `--`.
first() {
  while [ "$1" != -- ]; do
    if [ -r "$1" ]; then
      cat "$1"
      return
    fi
    shift
  done
  printf '%s\n' "$2"
}

: >health.txt
none='none visible in this container'
say "job: ${CI_JOB_NAME} (${CI_JOB_ID})"
say "commit: ${CI_COMMIT_SHA}"
say "runner: ${CI_RUNNER_DESCRIPTION:-unknown}, version ${CI_RUNNER_VERSION:-unknown}"
say "kernel: $(uname -r)"
say "cpus: $(nproc)"
# cgroup v2 first, then v1; a container without its own cgroup has neither.
say "memory limit: $(first /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes -- "$none")"
say "cpu limit: $(first /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us -- "$none")"

if ! command -v curl >/dev/null 2>&1; then
  apt-get update -qq
  apt-get install -qq -y --no-install-recommends ca-certificates curl >/dev/null
fi

# The runner hands jobs the CA of a GitLab that public authorities do not vouch for.
set --
if [ -n "${CI_SERVER_TLS_CA_FILE:-}" ] && [ -s "${CI_SERVER_TLS_CA_FILE}" ]; then
  set -- --cacert "${CI_SERVER_TLS_CA_FILE}"
fi
# The token goes in by standard input: a command line can be read by others.
known=$(printf 'JOB-TOKEN: %s\n' "${CI_JOB_TOKEN}" |
  curl --silent --show-error --fail --max-time 60 --retry 3 "$@" --header @- \
    --output /dev/null --write-out '%{http_code}, TLS verify result %{ssl_verify_result}' \
    "${CI_API_V4_URL}/job")
say "gitlab: ${CI_SERVER_HOST} answers ${known}"
say "healthy"
