# shellcheck shell=bash
# What the steps share; sourced by run, never run by itself.
#
# Gives: STEP, STEPS (folder of the scripts), WORK (a root-only temporary folder), the parameters of
# the bundle's STEP.env, and the functions below. GITLAB_RUNNERS_ROOT moves every path that is read
# or written below another folder; only tests set it.

ROOT=${GITLAB_RUNNERS_ROOT:-}
STATE=$ROOT/etc/gitlab-runners
RESUME=$ROOT/run/gitlab-runners/resume
HOST=$(hostname)
WORK=
# A file of a step that must not outlive it.
TEMP=
FAILURE=
CHILD=
TICKER=
declare -A MODES=()
declare -A SECRETS=()
BUNDLE_PATHS=()
CHANGED=()

# --- Talking -------------------------------------------------------------------------------------

# One line of progress.
say() {
  printf '%s %s: %s\n' "$HOST" "$STEP" "$*" >&2
}

# Ends the step. $1: the cause. $2: what to do.
fail() {
  FAILURE="$1: $2"
  exit 1
}

# Shows the end of what the last quiet command printed.
show_log() {
  tail -n 15 "$WORK/log" | redact | sed 's/^/  | /' >&2
}

# Replaces secret values in what is read from stdin.
redact() {
  local line name
  while IFS= read -r line || [[ -n $line ]]; do
    for name in "${!SECRETS[@]}"; do
      line=${line//"${SECRETS[$name]}"/[secret]}
    done
    printf '%s\n' "$line"
  done
}

# --- Beginning and end ---------------------------------------------------------------------------

# Unpacks the bundle, reads its parameters and waits until no other step runs here.
begin() {
  WORK=$(mktemp -d)
  trap 'at_exit $?' EXIT
  trap 'FAILURE="it took longer than its limit: see what it last waited for, then run pulumi up again"; exit 124' TERM
  trap 'FAILURE="it was interrupted: run pulumi up again"; exit 130' INT HUP
  unpack "$1"
  mkdir -p "$ROOT/run/gitlab-runners"
  exec 9>>"$ROOT/run/gitlab-runners/lock"
  if ! flock -n 9; then
    say "waits for another step that runs on this host, at most 1800 s"
    flock -w 1800 9 || fail "another step has been running on this host for half an hour" \
      "look for it with 'ps axf', end it, and run pulumi up again"
  fi
  remove_stale
}

# Marks the step as done.
finish() {
  resume_runner
  if ((${#CHANGED[@]})); then
    say "done, ${#CHANGED[@]} file(s) changed"
  else
    say "done, no file changed"
  fi
}

# $1: exit status. Prints the operator's sentence last.
at_exit() {
  local status=$1 command="'$BASH_COMMAND'"
  trap - EXIT ERR TERM INT HUP
  set +e
  [[ -z $TICKER ]] || kill "$TICKER" 2>/dev/null
  [[ -z $CHILD ]] || kill "$CHILD" 2>/dev/null
  if ((status)); then
    : "${FAILURE:=$command ended with $status: see the lines above, then run pulumi up again}"
    resume_after_failure
  fi
  rm -rf "$WORK" "$TEMP"
  if ((status)); then
    printf '%s: step %s failed: %s.\n' "$HOST" "$STEP" "$FAILURE" >&2
  fi
  exit "$status"
}

# Splits a bundle into $WORK/files, and reads the step's parameters.
unpack() {
  local line path='' first
  { IFS= read -r first && [[ $first == "# bundle $STEP v1" ]]; } <"$1" ||
    fail "$1 is not the bundle of this step" "run pulumi up again"
  while IFS= read -r line; do
    if [[ $line =~ ^==\>\ (/[^[:space:]]+)\ (0[0-7]{3})$ ]]; then
      path=${BASH_REMATCH[1]}
      MODES[$path]=${BASH_REMATCH[2]}
      [[ ! $path =~ (^|/)\.\.?(/|$) ]] || fail "the bundle names the path $path" "render it again"
      BUNDLE_PATHS+=("$path")
      mkdir -p "$WORK/files$(dirname "$path")"
      : >"$WORK/files$path"
      exec 8>"$WORK/files$path"
    elif [[ -n $path ]]; then
      printf '%s\n' "$line" >&8
    fi
  done < <(tail -n +2 "$1")
  exec 8>&-
  [[ -n ${MODES[/etc/gitlab-runners/$STEP.env]:-} ]] ||
    fail "the bundle holds no parameters" "render it again"
  # shellcheck source=/dev/null
  . "$WORK/files/etc/gitlab-runners/$STEP.env"
}

# Reads NAME=value lines from the step's standard input into SECRETS. A value may hold what tokens
# hold, and nothing that would mean something in TOML, JSON or a shell.
read_secrets() {
  local name value
  while IFS='=' read -r name value <&3 || [[ -n $name ]]; do
    [[ -n $name ]] || continue
    [[ $name =~ ^[A-Z][A-Z0-9_]*$ ]] ||
      fail "a line of standard input is not NAME=value" "check the secrets of the stack"
    [[ $value =~ ^[A-Za-z0-9._~+/=-]+$ ]] ||
      fail "the value of $name on standard input is empty or no token" "check the secrets of the stack"
    SECRETS[$name]=$value
  done
  exec 3<&-
}

# --- Files ---------------------------------------------------------------------------------------

# Puts a file at its place, atomically, when content, mode or owner differ.
# $1: source. $2: destination. $3: mode. Status 0 when it changed, 1 when it was right already.
put() {
  local temp=
  if [[ -f $2 && ! -L $2 ]] && cmp -s "$1" "$2" && [[ $(stat -c %a:%u:%g "$2") == "${3#0}:$EUID:"* ]]; then
    return 1
  fi
  # A function that is part of a condition does not end at its first error: hence the chain.
  { [[ -d $(dirname "$2") ]] || install -d -m 0755 "$(dirname "$2")"; } &&
    temp=$(mktemp "$(dirname "$2")/.$(basename "$2").XXXXXX") &&
    cat "$1" >"$temp" && chmod "$3" "$temp" && mv -fT "$temp" "$2" && return
  rm -f "${temp:-}"
  fail "$2 cannot be written" "look for a full or read-only file system on the host"
}

# Puts those files of the bundle at their place whose path starts with one of the arguments.
place() {
  local path prefix
  for path in "${BUNDLE_PATHS[@]}"; do
    for prefix in "$@"; do
      if [[ $path == "$prefix"* ]]; then
        if put "$WORK/files$path" "$ROOT$path" "${MODES[$path]}"; then
          CHANGED+=("$path")
          say "wrote $path"
        fi
        break
      fi
    done
  done
}

# Status 0 when a file whose path starts with $1 was changed in this run.
changed() {
  local path
  for path in ${CHANGED[@]+"${CHANGED[@]}"}; do
    [[ $path != "$1"* ]] || return 0
  done
  return 1
}

# Removes the files that an earlier run of this step wrote and that the bundle no longer has. The
# list of what this run may write is kept from the start, so that a run that dies leaves no orphan.
remove_stale() {
  local path
  printf '%s\n' "${BUNDLE_PATHS[@]}" >"$WORK/manifest"
  touch "$WORK/stale"
  [[ ! -f $STATE/$STEP.files ]] || cat "$STATE/$STEP.files" >"$WORK/stale"
  while IFS= read -r path; do
    if [[ $path == /* && -z ${MODES[$path]:-} && -f $ROOT$path ]]; then
      rm -f "$ROOT$path"
      CHANGED+=("$path")
      say "removed $path, which the stack no longer has"
    fi
  done <"$WORK/stale"
  put "$WORK/manifest" "$STATE/$STEP.files" 0644 || true
}

# --- Waiting -------------------------------------------------------------------------------------

# Runs a command with a limit; its output goes to $WORK/log. $1: what it does. $2: seconds.
# Status of the command; 124 when the limit ended it.
quietly() {
  local what=$1 limit=$2 status=0
  shift 2
  ticker "$what" "$limit" &
  TICKER=$!
  timeout -k 10 "$limit" "$@" >"$WORK/log" 2>&1 </dev/null 3<&- 9>&- &
  CHILD=$!
  wait "$CHILD" || status=$?
  CHILD=
  kill "$TICKER" 2>/dev/null || true
  wait "$TICKER" 2>/dev/null || true
  TICKER=
  return "$status"
}

# Says every 15 s that something goes on. $1: what. $2: its limit in seconds.
ticker() {
  local start=$SECONDS
  trap - EXIT TERM INT HUP
  exec 3<&- 9>&-
  while sleep 15 >/dev/null 2>&1; do
    say "$1: $((SECONDS - start)) s of at most $2 s"
  done
}

# Waits until a command ends with 0. $1: seconds. $2: what for. Status 1 when the limit is reached.
wait_until() {
  local limit=$1 what=$2 start=$SECONDS next=15
  shift 2
  until "$@"; do
    if ((SECONDS - start >= limit)); then
      return 1
    fi
    if ((SECONDS - start >= next)); then
      say "waits for $what: $((SECONDS - start)) s of at most $limit s"
      next=$((next + 15))
    fi
    sleep 1
  done
}

# Runs a command up to $1 times, with a growing pause in between. $2: what it does.
retry() {
  local tries=$1 what=$2 try status
  shift 2
  for ((try = 1; ; try++)); do
    status=0
    "$@" || status=$?
    ((status)) || return 0
    ((try < tries)) || return "$status"
    say "$what failed, tries again in $((try * 5)) s ($try of $tries)"
    sleep "$((try * 5))"
  done
}

# Waits until cloud-init has ended, and ends the step when it failed.
wait_for_first_boot() {
  local status=0 result=$ROOT/run/cloud-init/result.json
  if [[ -f $result ]] && grep -Eq '"errors": *\[\]' "$result"; then
    return 0
  fi
  command -v cloud-init >/dev/null || return 0
  quietly "waiting for the first boot (cloud-init)" 900 cloud-init status --wait --long || status=$?
  case $status in
    0) ;;
    2)
      # Proxmox itself writes keys that newer cloud-init calls deprecated: nothing to act upon.
      if grep -Eq '^(ERROR|WARNING):' "$WORK/log"; then
        say "cloud-init ended with warnings:"
        show_log
      fi
      ;;
    124)
      fail "the first boot has not ended after 900 s" \
        "read /var/log/cloud-init-output.log on the host, then run pulumi up again"
      ;;
    *)
      show_log
      fail "the first boot failed (cloud-init)" \
        "read /var/log/cloud-init.log on the host, correct the template or the stack, and replace the VM"
      ;;
  esac
}

# --- Packages ------------------------------------------------------------------------------------

# apt-get that waits for locks and tries downloads again. $1: what it does. $2: seconds.
apt_get() {
  local what=$1 limit=$2
  shift 2
  say "$what"
  quietly "$what" "$limit" apt-get -y -q \
    -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Acquire::http::Timeout=30 \
    -o Acquire::https::Timeout=30 -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 "$@"
}

# Version of an installed package; nothing when it is not installed.
installed_version() {
  # shellcheck disable=SC2016
  dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null |
    sed -n 's/^installed //p'
}

# Newest version that apt can get; nothing when it knows none.
candidate_version() {
  apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p' | grep -vFx '(none)' || true
}

refresh_packages() {
  retry 3 "reading the package lists" apt_get "reads the package lists" 600 update || {
    show_log
    fail "the package lists cannot be read" \
      "check the host's network, packages.proxy and the repositories, then run pulumi up again"
  }
}

# Installs packages of the distribution that a step needs itself.
need_tools() {
  local tool missing=()
  for tool in "$@"; do
    [[ -n $(installed_version "$tool") ]] || missing+=("$tool")
  done
  ((${#missing[@]})) || return 0
  refresh_packages
  apt_get "installs ${missing[*]}" 600 install --no-install-recommends "${missing[@]}" || {
    show_log
    fail "${missing[*]} cannot be installed" "see the lines above, then run pulumi up again"
  }
}

# Holds packages, so that nothing but these steps changes their versions.
hold() {
  local package held
  held=$(apt-mark showhold)
  for package in "$@"; do
    if ! grep -qFx "$package" <<<"$held"; then
      apt-mark hold "$package" >/dev/null
      say "holds $package at $(installed_version "$package")"
    fi
  done
}

# Puts the guest's codename into the sources of the bundle.
fill_codename() {
  local path text codename
  # shellcheck source=/dev/null
  codename=$(. "$ROOT/etc/os-release" && echo "${VERSION_CODENAME:-}")
  [[ -n $codename ]] || fail "/etc/os-release has no VERSION_CODENAME" "use Debian or Ubuntu"
  for path in "${BUNDLE_PATHS[@]}"; do
    if [[ $path == /etc/apt/sources.list.d/* ]]; then
      text=$(<"$WORK/files$path")
      printf '%s\n' "${text//@@CODENAME@@/$codename}" >"$WORK/files$path"
    fi
  done
}

# Fetches the repository's key (KEY_URL), compares its fingerprint (KEY_FINGERPRINT), and puts just
# that key into KEYRING. A key that cannot be fetched is no error while the old one serves.
refresh_key() {
  local home=$WORK/gnupg proxy=()
  need_tools ca-certificates curl gpg
  [[ -z ${APT_PROXY:-} ]] || proxy=(--proxy "$APT_PROXY")
  install -d -m 0700 "$home"
  if ! quietly "fetching $KEY_URL" 120 curl -fsSL --retry 4 --retry-connrefused --connect-timeout 15 \
    ${proxy[@]+"${proxy[@]}"} -o "$WORK/key" "$KEY_URL"; then
    show_log
    if [[ -s $ROOT$KEYRING ]]; then
      say "cannot fetch $KEY_URL, goes on with the key it has"
      return 0
    fi
    fail "the repository's key cannot be fetched from $KEY_URL" \
      "check the URL, the host's network and caCertificates, then run pulumi up again"
  fi
  quietly "reading the key" 60 gpg --homedir "$home" --batch --no-autostart --import "$WORK/key" || true
  if ! gpg --homedir "$home" --batch --no-autostart --list-keys --with-colons 2>/dev/null |
    awk -F: '$1 == "pub" { want = 1 } $1 == "fpr" && want { print $10; want = 0 }' |
    grep -Fx "$KEY_FINGERPRINT" >/dev/null; then
    fail "the key at $KEY_URL does not have the fingerprint $KEY_FINGERPRINT" \
      "find out whether the repository has a new key, and correct keyFingerprint if it has"
  fi
  gpg --homedir "$home" --batch --no-autostart --export "$KEY_FINGERPRINT" >"$WORK/keyring"
  if put "$WORK/keyring" "$ROOT$KEYRING" 0644; then
    CHANGED+=("$KEYRING")
    say "wrote $KEYRING"
  fi
}

# --- Services ------------------------------------------------------------------------------------

# Tells systemd of changed units; $@: the units to look at.
reload_units() {
  local unit
  for unit in "$@"; do
    if [[ $(systemctl show -p NeedDaemonReload --value "$unit") == yes ]]; then
      systemctl daemon-reload
      return
    fi
  done
  if changed /etc/systemd/system/; then
    systemctl daemon-reload
  fi
}

# Status 0 when a service's main process was started before one of the files last changed.
older_than() {
  local started path unit=$1
  shift
  started=$(systemctl show --timestamp=us+utc -p ExecMainStartTimestamp --value "$unit")
  started=$(date -d "$started" +%s%N 2>/dev/null) || return 1
  for path in "$@"; do
    if [[ -e $ROOT$path ]] && (($(date -r "$ROOT$path" +%s%N) > started)); then
      return 0
    fi
  done
  return 1
}

runner_is_active() {
  case $(systemctl show -p ActiveState --value gitlab-runner.service) in
    active | activating | reloading | deactivating) return 0 ;;
    *) return 1 ;;
  esac
}

# Stops the runner without losing a job, and remembers to start it again. $1: why.
interrupt_runner() {
  local limit=${DRAIN_TIMEOUT:-}
  runner_is_active || return 0
  if [[ -z $limit && -f $STATE/runner.env ]]; then
    # shellcheck source=/dev/null
    limit=$(. "$STATE/runner.env" && echo "${DRAIN_TIMEOUT:-}")
  fi
  say "stops the runner ($1)"
  : >"$RESUME"
  bash "$STEPS/drain" --limit "${limit:-3600}" 3<&- 9>&-
}

# Starts the runner again when it was stopped by interrupt_runner, now or in a run that died.
resume_runner() {
  [[ -f $RESUME ]] || return 0
  say "starts the runner again"
  systemctl start gitlab-runner.service || fail "the runner does not start again" \
    "read 'journalctl -u gitlab-runner' on the host, then run pulumi up again"
  rm -f "$RESUME"
}

# After a failure: a host whose Docker answers goes on serving with what it has.
resume_after_failure() {
  [[ -f $RESUME ]] || return 0
  if timeout 30 docker info >/dev/null 2>&1 && systemctl start gitlab-runner.service; then
    rm -f "$RESUME"
    say "the runner serves again"
  else
    say "the runner stays stopped until this step succeeds"
  fi
}

# Sum of a metric of the running runner; nothing when it cannot be read. $1: name. $2: a label that
# the series must have.
metric() {
  [[ -n ${METRICS_URL:-} ]] || return 0
  curl -fsS --max-time 5 "$METRICS_URL" 2>/dev/null |
    awk -v name="$1" -v label="${2:-}" '
      ($1 == name || index($1, name "{") == 1) && (label == "" || index($0, label)) {
        sum += $NF; seen = 1
      }
      END { if (seen) printf "%d\n", sum }' || true
}
