# shellcheck shell=bash
# The host serves: seen, not assumed.
#
# Needs: the three steps before; GitLab and the images' registries in reach; with a canary,
#   CANARY_TOKEN=… (a pipeline trigger token) on standard input.
# Changes: nothing of the setup. Docker gets the helper image and the profiles' default images, as
#   the first job would bring them; GitLab a pipeline of the canary project.

INFO='"name":"gitlab-runner","platform":"linux","executor":"docker","shell":"bash"'
# What the runner itself reports. GitLab keeps what it was told last: without these it would for a
# while treat the runner as one that can do nothing.
FEATURES='"variables":true,"image":true,"services":true,"session":true,"terminal":true,
"service_variables":true,"service_multiple_aliases":true,"image_executor_opts":true,
"service_executor_opts":true,"native_steps_integration":true,"artifacts":true,
"upload_multiple_artifacts":true,"upload_raw_artifacts":true,"cache":true,
"fallback_cache_keys":true,"refspecs":true,"masking":true,"raw_variables":true,
"artifacts_exclude":true,"multi_build_steps":true,"vault_secrets":true,"return_exit_code":true,
"trace_reset":true,"trace_checksum":true,"trace_size":true,"cancelable":true,
"cancel_gracefully":true,"two_phase_job_commit":true,"job_inputs":true'

step() {
  wait_for_first_boot
  read_secrets
  systemctl is-active -q gitlab-runner.service || fail "the runner is not active" \
    "read 'journalctl -u gitlab-runner' on the host, then run pulumi up again"
  place /etc/gitlab-runners/
  check_tokens
  check_images
  check_polls
  if [[ -n ${CANARY_PROJECT:-} ]]; then
    check_canary
  fi
}

# Value of a parameter of a profile. $1: number. $2: name.
profile() {
  local name=PROFILE_$1_$2
  printf '%s' "${!name}"
}

# POST of a JSON text, which curl gets on its standard input. $1: path below the API. $2: text.
# Leaves the answer in $WORK/answer and prints the HTTP status, 000 when there was none.
post() {
  local ca=() status
  [[ -z $CA_FILE ]] || ca=(--cacert "$CA_FILE")
  printf '%s' "$2" | curl -sS --max-time 30 --connect-timeout 10 ${ca[@]+"${ca[@]}"} \
    -H 'Content-Type: application/json' -o "$WORK/answer" -w '%{http_code}' --data @- \
    "$GITLAB_URL/api/v4/$1" 3<&- 9>&- 2>"$WORK/log" || true
}

# --- Tokens --------------------------------------------------------------------------------------

check_tokens() {
  local system_id index name
  [[ -s /etc/gitlab-runner/.runner_system_id ]] ||
    fail "the runner has not made its system id" "read 'journalctl -u gitlab-runner' on the host"
  system_id=$(</etc/gitlab-runner/.runner_system_id)
  for ((index = 1; index <= PROFILES; index++)); do
    name=$(profile "$index" RUNNER)
    check_token "$name" "$(token_of "$name")" "$system_id"
  done
  say "GitLab accepts the token of each of $PROFILES runner(s)"
}

# Token in config.toml of the runner named $1.
token_of() {
  local line current=
  while IFS= read -r line; do
    if [[ $line =~ ^\ *name\ =\ \"(.*)\"$ ]]; then
      current=${BASH_REMATCH[1]}
    elif [[ $current == "$1" && $line =~ ^\ *token\ =\ \"(.*)\"$ ]]; then
      printf '%s' "${BASH_REMATCH[1]}"
      return
    fi
  done </etc/gitlab-runner/config.toml
}

# $1: runner. $2: token. $3: system id.
check_token() {
  local body try status
  [[ -n $2 ]] || fail "config.toml has no runner named $1" "run pulumi up again"
  body="{\"token\":\"$2\",\"system_id\":\"$3\",\"info\":{$INFO,\"version\":\"$RUNNER_VERSION\",\
\"architecture\":\"$(dpkg --print-architecture)\",\"features\":{$FEATURES}}}"
  for ((try = 1; try <= 6; try++)); do
    status=$(post runners/verify "$body")
    case $status in
      200) return ;;
      403) fail "GitLab refuses the token of runner $1" \
        "the record was deleted or its token reset: replace the runner's record with pulumi up --replace" ;;
      422) fail "GitLab says that runner $1 belongs to no project any more" \
        "assign it to a project in GitLab, or replace the runner's record" ;;
    esac
    say "GitLab did not answer the token's check (${status/000/no answer}), tries again in 10 s ($try of 6)"
    ((try == 6)) || sleep 10
  done
  show_log
  fail "GitLab at $GITLAB_URL does not answer for runner $1 (${status/000/no answer})" \
    "check gitlab.url, caCertificates, DNS and firewall from the host, then run pulumi up again"
}

# --- Images --------------------------------------------------------------------------------------

check_images() {
  local index image helper flags=() done=' '
  for ((index = 1; index <= PROFILES; index++)); do
    helper=$(profile "$index" HELPER_IMAGE)
    if [[ $done != *" helper:$helper "* ]]; then
      check_helper "$helper"
      done+="helper:$helper "
    fi
    image=$(profile "$index" IMAGE)
    read -ra flags <<<"$(profile "$index" FLAGS)"
    if [[ $done != *" $image "* ]]; then
      pull "$image" "$(profile "$index" PULL)"
      done+="$image "
    fi
    quietly "starting $image" "$IMAGE_LIMIT" docker run --rm --network none --pull never \
      "${flags[@]}" --entrypoint sh "$image" -c true || {
      show_log
      fail "a container of $image with the limits of $(profile "$index" RUNNER) does not start" \
        "correct the profile's image, limits or security options"
    }
    say "$image starts with the limits of $(profile "$index" RUNNER)"
  done
}

# $1: image. $2: pull policy.
pull() {
  if [[ $2 == always ]] || ! docker image inspect "$1" >/dev/null 2>&1; then
    [[ $2 != never ]] || fail "the image $1 is not on the host, and the profile never pulls" \
      "bring it there, or change pullPolicy"
    say "pulls $1"
    retry 3 "pulling $1" quietly "pulling $1" "$IMAGE_LIMIT" docker pull -q "$1" || {
      show_log
      fail "the image $1 cannot be pulled" "check its name, the mirrors and the registry's certificate"
    }
  fi
}

# $1: a helper image of the profile's own, or nothing for the one that comes with the runner.
check_helper() {
  local image=$1 arch
  if [[ -n $image ]]; then
    # shellcheck disable=SC2016
    image=${image//'${CI_RUNNER_VERSION}'/$RUNNER_VERSION}
    pull "$image" if-not-present
  else
    arch=$(dpkg --print-architecture)
    arch=${arch/amd64/x86_64}
    image=registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper:$arch-v$RUNNER_VERSION
    docker image inspect "$image" >/dev/null 2>&1 || load_helper "$image" "$arch"
  fi
  quietly "starting the helper image" "$IMAGE_LIMIT" docker run --rm --network none --pull never \
    --entrypoint gitlab-runner-helper "$image" --version || {
    show_log
    fail "the helper image $image does not start" "correct helperImage, or install the packages again"
  }
  say "the helper image starts"
}

# Brings the packaged helper image into Docker, under the name that the runner looks for.
# $1: that name. $2: architecture.
load_helper() {
  local folder=/usr/lib/gitlab-runner/helper-images name loaded
  for name in "prebuilt-alpine-$2" "prebuilt-alpine-${2/x86_64/amd64}"; do
    if [[ -f $folder/$name.docker.tar.zst ]]; then
      if quietly "loading the helper image" "$IMAGE_LIMIT" docker load -q -i "$folder/$name.docker.tar.zst"; then
        loaded=$(sed -n 's/^Loaded image\( ID\)\{0,1\}: //p' "$WORK/log" | tail -n 1)
        docker tag "$loaded" "$1"
        return
      fi
    elif [[ -f $folder/$name.tar.xz ]]; then
      if quietly "importing the helper image" "$IMAGE_LIMIT" docker import \
        --change 'ENTRYPOINT ["/usr/bin/dumb-init", "/entrypoint"]' "$folder/$name.tar.xz" "$1"; then
        return
      fi
    else
      continue
    fi
    show_log
    fail "Docker does not take the helper image $folder/$name" "install gitlab-runner-helper-images again"
  done
  fail "there is no packaged helper image in $folder" \
    "install gitlab-runner-helper-images, or set helperImage in the profile"
}

# --- Polls ---------------------------------------------------------------------------------------

# Runners, by their short tokens, whose polls GitLab has answered since the file $1 was written.
answered_since() {
  polls >"$WORK/polls"
  awk -v file="$1" '
    BEGIN { while ((getline < file) > 0) before[$1] = $2 }
    $2 > before[$1] + 0 { n++ }
    END { print n + 0 }' "$WORK/polls"
}

# A line for each runner: its label, and how many of its polls GitLab has answered with 2xx.
polls() {
  curl -fsS --max-time 5 "$METRICS_URL" 2>/dev/null | awk '
    index($0, "gitlab_runner_api_request_statuses_total{") == 1 &&
    index($0, "endpoint=\"request_job\"") && /status="2[0-9][0-9]"/ {
      match($0, /runner="[^"]*"/)
      count[substr($0, RSTART + 8, RLENGTH - 9)] += $NF
    }
    END { for (runner in count) printf "%s %d\n", runner, count[runner] }' || true
}

all_answered() {
  (($(answered_since "$WORK/polls-before") >= PROFILES))
}

check_polls() {
  if [[ -z $METRICS_URL ]]; then
    say "the runner has no metrics: its polls cannot be seen"
    return
  fi
  # A runner that began with this very file has used no other: what was answered before counts too.
  # Otherwise its polls may still be those of the old file, each open for up to 50 s.
  : >"$WORK/polls-before"
  if older_than gitlab-runner.service /etc/gitlab-runner/config.toml; then
    polls >"$WORK/polls-before"
  fi
  wait_until "$POLL_LIMIT" "GitLab to answer a poll of each runner" all_answered || {
    curl -fsS --max-time 5 "$METRICS_URL" 2>/dev/null |
      grep '^gitlab_runner_api_request_statuses_total' | sed 's/^/  | /' >&2 || true
    fail "GitLab answered polls of $(answered_since "$WORK/polls-before") of $PROFILES runner(s) in $POLL_LIMIT s" \
      "read 'journalctl -u gitlab-runner' on the host, then run pulumi up again"
  }
  say "GitLab answers the polls of each runner"
}

# --- Canary --------------------------------------------------------------------------------------

# Jobs of this host that have ended since the gate counted first, and those of them that failed:
# sets ENDED and FAILED. One look at the metrics, so that no job ends between two of them.
count_jobs() {
  read -r ENDED FAILED < <(curl -fsS --max-time 5 "$METRICS_URL" 2>/dev/null | awk \
    -v ended="$ENDED_BEFORE" -v failed="$FAILED_BEFORE" '
      { name = $1; sub(/\{.*/, "", name); sum[name] += $NF }
      END {
        print sum["gitlab_runner_jobs_total"] - sum["gitlab_runner_jobs"] - ended,
          sum["gitlab_runner_failed_jobs_total"] - failed
      }')
}

# A job ran to success, or all that ran have failed: in both cases there is nothing to wait for.
canary_ended() {
  count_jobs
  ((ENDED > FAILED || (FAILED > 0 && ENDED == FAILED)))
}

check_canary() {
  local token=${SECRETS[CANARY_TOKEN]:-} status pipeline
  [[ -n $METRICS_URL ]] || fail "a canary needs the runner's metrics" "set runner.metricsListen"
  [[ -n $token ]] || fail "CANARY_TOKEN is missing on standard input" "set canaryTriggerToken in the stack"
  ENDED_BEFORE=0 FAILED_BEFORE=0
  count_jobs
  ENDED_BEFORE=$ENDED FAILED_BEFORE=$FAILED
  status=$(post "projects/$CANARY_PROJECT/trigger/pipeline" \
    "{\"token\":\"$token\",\"ref\":\"$CANARY_REF\",\"variables\":{\"RUNNER_TAG\":\"$RUNNER_TAG\"}}")
  if [[ $status != 201 ]]; then
    head -c 500 "$WORK/answer" 2>/dev/null | redact | sed 's/^/  | /' >&2 || true
    fail "GitLab does not start the canary's pipeline (${status/000/no answer})" \
      "check canary.project, canary.ref and canaryTriggerToken"
  fi
  pipeline=$(grep -o '"web_url": *"[^"]*/pipelines/[0-9]*"' "$WORK/answer" | head -n 1 | cut -d'"' -f4) || true
  say "started the canary's pipeline ${pipeline:-of project $CANARY_PROJECT}"
  wait_until "$CANARY_TIMEOUT" "a job on this host to succeed" canary_ended ||
    fail "no job has ended on this host within $CANARY_TIMEOUT s" \
      "look at ${pipeline:-the canary project}: does its job have the tag \$RUNNER_TAG ($RUNNER_TAG)?"
  ((ENDED > FAILED)) || fail "the canary's job failed on this host" \
    "read its log at ${pipeline:-the canary project}"
  say "a job ran to success on this host"
}
