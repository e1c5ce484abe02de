# shellcheck shell=bash
# GitLab Runner's packages, and how systemd runs and stops it.
#
# Needs: a finished first boot; the runner's package repository.
# Changes: apt's source, pin, key and holds; the packages gitlab-runner and
#   gitlab-runner-helper-images; drop-ins of gitlab-runner.service and of the shutdown targets;
#   /usr/local/sbin/gitlab-runner-drain.
# Interrupts: the runner is drained before an upgrade, and started again. A first installation
#   leaves it stopped: there is no config.toml yet.

step() {
  wait_for_first_boot
  fill_codename
  place /etc/gitlab-runners/ /etc/needrestart/ /etc/apt/apt.conf.d/ /etc/systemd/system/
  if put "$STEPS/drain" "$ROOT/usr/local/sbin/gitlab-runner-drain" 0755; then
    CHANGED+=(/usr/local/sbin/gitlab-runner-drain)
    say "wrote /usr/local/sbin/gitlab-runner-drain"
  fi
  reload_units gitlab-runner.service
  install_runner
  reload_units gitlab-runner.service
  replace_old_process
  verify_runner
}

runner_is_installed() {
  [[ $(installed_version gitlab-runner) == "$RUNNER_VERSION-1" ]] &&
    [[ $(installed_version gitlab-runner-helper-images) == "$RUNNER_VERSION-1" ]] &&
    command -v gitlab-runner >/dev/null
}

install_runner() {
  local wanted=("gitlab-runner=$RUNNER_VERSION-1" "gitlab-runner-helper-images=$RUNNER_VERSION-1")
  if ! runner_is_installed; then
    refresh_key
    place /etc/apt/
    refresh_packages
    apt_get "downloads ${wanted[*]}" 1800 install --no-install-recommends --download-only \
      --allow-downgrades --allow-change-held-packages "${wanted[@]}" || {
      show_log
      fail "${wanted[*]} cannot be had" \
        "compare runner.version with 'apt-cache madison gitlab-runner' on the host"
    }
    # The package's scripts stop the service, whatever it is doing.
    interrupt_runner "its version changes to $RUNNER_VERSION"
    # Without NO_DOCKER_PRUNE they would also remove what jobs have cached.
    NO_DOCKER_PRUNE=1 apt_get "installs ${wanted[*]}" 1200 install --no-install-recommends \
      --allow-downgrades --allow-change-held-packages "${wanted[@]}" || {
      show_log
      fail "${wanted[*]} cannot be installed" "see the lines above, then run pulumi up again"
    }
    systemctl daemon-reload
  fi
  place /etc/apt/
  hold gitlab-runner gitlab-runner-helper-images
}

# A process whose program was replaced under it still runs the old version.
replace_old_process() {
  local pid
  pid=$(systemctl show -p MainPID --value gitlab-runner.service)
  if ((pid)) && [[ $(readlink "/proc/$pid/exe") == *' (deleted)' ]]; then
    interrupt_runner "it still runs its old version"
  fi
}

verify_runner() {
  local version
  version=$(gitlab-runner --version 2>/dev/null | sed -n 's/^Version: *//p')
  [[ $version == "$RUNNER_VERSION" ]] || fail "gitlab-runner says version '$version', not $RUNNER_VERSION" \
    "look for another gitlab-runner with 'type -a gitlab-runner' on the host"
  [[ $(systemctl show -p KillSignal --value gitlab-runner.service) == 3 ]] ||
    fail "gitlab-runner.service is not stopped by SIGQUIT, so a stop would end jobs" \
      "look for drop-ins of others with 'systemctl cat gitlab-runner' on the host"
  say "gitlab-runner $version is installed"
}
