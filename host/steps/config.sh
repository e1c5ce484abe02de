# shellcheck shell=bash
# The runner's configuration, with its tokens.
#
# Needs: the runner installed; RUNNER_TOKEN_<PROFILE>=glrt-… for each profile on standard input.
# Changes: /etc/gitlab-runner/config.toml (root, 0600, replaced at once) and certs/ca.crt there.
# Interrupts: nothing; the running runner loads the file while jobs run. Only a changed metrics
#   address needs a restart, before which the runner is drained.

CONFIG=$ROOT/etc/gitlab-runner/config.toml

step() {
  local text previous='' had='' loads_before='' errors_before=''
  read_secrets
  command -v gitlab-runner >/dev/null ||
    fail "gitlab-runner is not installed" "run pulumi up again, so that the runner step runs first"
  [[ -d $ROOT/etc/gitlab-runner ]] || install -d -m 0700 "$ROOT/etc/gitlab-runner"
  place /etc/gitlab-runners/ /etc/gitlab-runner/certs/
  text=$(<"$WORK/files/etc/gitlab-runner/config.toml")
  fill_tokens
  if [[ -f $CONFIG ]]; then
    previous=$(<"$CONFIG")
    had=1
  fi
  if [[ -z $had || $text != "$previous" || $(stat -c %a:%u "$CONFIG") != "600:$EUID" ]]; then
    loads_before=$(metric gitlab_runner_configuration_loaded_total)
    errors_before=$(metric gitlab_runner_configuration_loading_error_total)
    replace_config
    CHANGED+=(/etc/gitlab-runner/config.toml)
    say "wrote /etc/gitlab-runner/config.toml"
    if runner_is_active; then
      load_config
    fi
  fi
  ensure_running
}

# Puts the tokens into $text. Only builtins see them.
fill_tokens() {
  local name
  # shellcheck disable=SC2153
  for name in $TOKENS; do
    [[ -n ${SECRETS[$name]:-} ]] || fail "$name is missing on standard input" "run pulumi up again"
    [[ ${SECRETS[$name]} == glrt-* ]] || fail "$name is no runner authentication token (glrt-…)" \
      "let the program create the runner; registration tokens are not supported"
    text=${text//"@@$name@@"/"${SECRETS[$name]}"}
  done
  if [[ $text =~ @@([A-Z0-9_]+)@@ ]]; then
    fail "config.toml wants ${BASH_REMATCH[1]}, which nobody handed over" "run pulumi up again"
  fi
}

# Writes $1 to a root-only file beside config.toml, whose name is then in TEMP.
write_temp() {
  TEMP=$(umask 077 && mktemp "$ROOT/etc/gitlab-runner/.config.toml.XXXXXX")
  printf '%s\n' "$1" >"$TEMP" || fail "$TEMP cannot be written" "look for a full file system on the host"
}

# Checks the new file with the runner itself, then puts it in the old one's place.
replace_config() {
  write_temp "$text"
  if gitlab-runner lint --help >/dev/null 2>&1 3<&- 9>&- &&
    ! quietly "checking config.toml" 60 gitlab-runner lint --config "$TEMP"; then
    show_log
    fail "gitlab-runner refuses the new config.toml" "correct the profile; the old file still serves"
  fi
  mv -fT "$TEMP" "$CONFIG"
}

# Status 0 when the runner has tried to load the file since it was replaced.
load_was_tried() {
  local loads errors
  loads=$(metric gitlab_runner_configuration_loaded_total)
  errors=$(metric gitlab_runner_configuration_loading_error_total)
  ((${loads:-0} > ${loads_before:-0} || ${errors:-0} > ${errors_before:-0}))
}

journal_tells_of_load() {
  journalctl -u gitlab-runner.service --since "@$reloaded" -o cat --no-pager 2>/dev/null |
    grep -Eiq 'configuration loaded|failed to load config'
}

load_config() {
  local reloaded bad=''
  printf -v reloaded '%(%s)T' -1
  systemctl reload gitlab-runner.service
  if [[ -n $loads_before ]]; then
    wait_until 60 "the runner to load its configuration" load_was_tried ||
      bad="did not load the new config.toml within 60 s"
    errors=$(metric gitlab_runner_configuration_loading_error_total)
    if ((${errors:-0} > ${errors_before:-0})); then
      bad="could not load the new config.toml"
    fi
  else
    wait_until 30 "the runner to load its configuration" journal_tells_of_load ||
      say "the runner has no metrics and a quiet journal: it cannot be seen to load the file"
    if journalctl -u gitlab-runner.service --since "@$reloaded" -o cat --no-pager 2>/dev/null |
      grep -iq 'failed to load config'; then
      bad="could not load the new config.toml"
    fi
  fi
  [[ -z $bad ]] || restore_config "$bad"
  say "the runner has loaded the new config.toml"
}

# $1: what the runner did.
restore_config() {
  journalctl -u gitlab-runner.service -n 10 -o cat --no-pager | redact | sed 's/^/  | /' >&2 || true
  if [[ -n $had ]]; then
    write_temp "$previous"
    mv -fT "$TEMP" "$CONFIG"
    systemctl reload gitlab-runner.service || true
    fail "the runner $1" "correct the profile; the previous file is in its place again"
  fi
  fail "the runner $1" "read 'journalctl -u gitlab-runner' on the host and correct the profile"
}

metrics_answer() {
  [[ -n $(metric gitlab_runner_configuration_loaded_total) ]]
}

# Enabled, active, and seen to serve its metrics at the address that the file names.
ensure_running() {
  systemctl is-enabled -q gitlab-runner.service 2>/dev/null ||
    systemctl enable -q gitlab-runner.service
  if runner_is_active; then
    if [[ -n $METRICS_URL ]] && ! wait_until 15 "the runner's metrics" metrics_answer; then
      interrupt_runner "its metrics move to $METRICS_URL"
      resume_runner
    fi
  else
    say "starts the runner"
    systemctl start gitlab-runner.service || runner_does_not_start
    rm -f "$RESUME"
  fi
  if [[ -n $METRICS_URL ]]; then
    wait_until 60 "the runner's metrics" metrics_answer || runner_does_not_start
  else
    wait_until 60 "the runner to be active" systemctl is-active -q gitlab-runner.service ||
      runner_does_not_start
  fi
  say "the runner is active"
}

runner_does_not_start() {
  journalctl -u gitlab-runner.service -n 10 -o cat --no-pager | redact | sed 's/^/  | /' >&2 || true
  fail "the runner does not start" \
    "read 'journalctl -u gitlab-runner' on the host, then run pulumi up again"
}
