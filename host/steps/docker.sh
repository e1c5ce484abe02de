# shellcheck shell=bash
# Docker Engine, ready for jobs.
#
# Needs: a finished first boot with the Docker and cache disks mounted; a package repository.
# Changes: CA certificates in the trust store; apt's proxy, source, pin and holds; the packages of
#   Docker; /etc/docker; journal limits; the mount of /var/lib/docker/volumes; docker.service.
# Interrupts: the runner is drained before Docker is upgraded or restarted, and started again.

step() {
  wait_for_first_boot
  check_disks
  place /etc/gitlab-runners/ /usr/local/share/ca-certificates/ /etc/apt/apt.conf.d/ /etc/needrestart/
  trust_certificates
  limit_journal
  place /etc/systemd/system/
  reload_units docker.service var-lib-docker-volumes.mount
  mount_volumes
  place /etc/docker/certs.d/
  install_docker
  configure_docker
  verify_docker
}

check_disks() {
  local mount device size blocks
  for mount in /var/lib/docker /cache; do
    mountpoint -q "$mount" || fail "no disk is mounted at $mount" \
      "look at /etc/fstab and /var/log/cloud-init.log on the host; mount the disk, or replace the VM"
    device=$(findmnt -nro SOURCE "$mount")
    [[ -b $device && $(findmnt -nro FSTYPE "$mount") == ext4 ]] || continue
    size=$(blockdev --getsize64 "$device")
    blocks=$(dumpe2fs -h "$device" 2>/dev/null |
      awk -F: '/^Block count/ { n = $2 } /^Block size/ { print n * $2 }')
    # A disk that grew while the guest runs: the next mount would grow it too, but may be far away.
    if ((size - blocks > 1024 * 1024)); then
      say "grows the file system of $mount"
      quietly "growing the file system of $mount" 600 resize2fs "$device" ||
        { show_log; fail "the file system of $mount cannot be grown" "see the lines above"; }
    fi
  done
}

# Go programs such as dockerd read the trust store when they start, hence older_than below.
trust_certificates() {
  local path name stale=
  for path in "${BUNDLE_PATHS[@]}"; do
    if [[ $path == /usr/local/share/ca-certificates/* ]]; then
      need_tools ca-certificates
      name=$(basename "$path" .crt)
      [[ -e /etc/ssl/certs/$name.pem ]] || stale=1
    fi
  done
  if [[ -n $stale ]] || changed /usr/local/share/ca-certificates/; then
    quietly "updating the trust store" 120 update-ca-certificates ||
      { show_log; fail "the trust store cannot be updated" "check caCertificates in the stack"; }
    say "updated the trust store"
  fi
}

limit_journal() {
  place /etc/systemd/journald.conf.d/
  if changed /etc/systemd/journald.conf.d/; then
    systemctl try-restart systemd-journald.service
  fi
}

# Job caches and builds are volumes; they must not fill Docker's own disk.
mount_volumes() {
  local volumes=/var/lib/docker/volumes
  if ! mountpoint -q "$volumes"; then
    if [[ -n $(find "$volumes" -mindepth 1 -maxdepth 1 -print -quit 2>/dev/null) ]]; then
      interrupt_runner "its volumes move to the cache disk"
      systemctl stop docker.socket docker.service
      install -d -m 0701 /cache/docker-volumes
      find "$volumes" -mindepth 1 -maxdepth 1 -exec mv -n -t /cache/docker-volumes {} +
      say "moved the volumes to the cache disk"
    fi
    install -d -m 0701 /cache/docker-volumes "$volumes"
    systemctl start var-lib-docker-volumes.mount || fail "$volumes cannot be mounted" \
      "read 'systemctl status var-lib-docker-volumes.mount' on the host"
    say "mounted $volumes on the cache disk"
  fi
  systemctl is-enabled -q var-lib-docker-volumes.mount 2>/dev/null ||
    systemctl enable -q var-lib-docker-volumes.mount
}

# Packages as apt names them, with the version where one is wanted, in WANTED; names in PACKAGES.
choose_packages() {
  if [[ $DOCKER_SOURCE == repository ]]; then
    PACKAGES=(docker-ce docker-ce-cli containerd.io)
    WANTED=("docker-ce${DOCKER_VERSION:+=$DOCKER_VERSION}"
      "docker-ce-cli${DOCKER_VERSION:+=$DOCKER_VERSION}" containerd.io)
  else
    PACKAGES=(docker.io)
    WANTED=("docker.io${DOCKER_VERSION:+=$DOCKER_VERSION}")
    # Since Debian 13 the docker command is a package of its own.
    if [[ -n $(candidate_version docker-cli)$(installed_version docker-cli) ]]; then
      PACKAGES+=(docker-cli)
      WANTED+=(docker-cli)
    fi
  fi
}

docker_is_installed() {
  local package version
  command -v docker >/dev/null || return 1
  for package in "${PACKAGES[@]}"; do
    version=$(installed_version "$package")
    [[ -n $version ]] || return 1
    case $package in
      docker.io | docker-ce | docker-ce-cli)
        [[ -z $DOCKER_VERSION || $version == "$DOCKER_VERSION" ]] || return 1
        ;;
    esac
  done
}

install_docker() {
  fill_codename
  choose_packages
  if ! docker_is_installed; then
    if [[ $DOCKER_SOURCE == repository ]]; then
      refresh_key
    fi
    place /etc/apt/
    # Nothing runs yet that a wrong daemon.json could stop; so Docker's first start is right.
    command -v dockerd >/dev/null || place /etc/docker/daemon.json
    refresh_packages
    choose_packages
    apt_get "downloads ${WANTED[*]}" 1800 install --no-install-recommends --download-only \
      --allow-downgrades --allow-change-held-packages "${WANTED[@]}" || {
      show_log
      fail "${WANTED[*]} cannot be had" \
        "compare docker.version with 'apt-cache madison ${PACKAGES[0]}' on the host"
    }
    interrupt_runner "Docker is installed or changes its version"
    apt_get "installs ${WANTED[*]}" 1200 install --no-install-recommends \
      --allow-downgrades --allow-change-held-packages "${WANTED[@]}" || {
      show_log
      fail "${WANTED[*]} cannot be installed" "see the lines above, then run pulumi up again"
    }
    systemctl daemon-reload
  fi
  place /etc/apt/
  hold "${PACKAGES[@]}"
}

configure_docker() {
  local new=$WORK/files/etc/docker/daemon.json inputs path
  quietly "checking daemon.json" 60 dockerd --validate --config-file="$new" || {
    show_log
    fail "Docker refuses the new daemon.json" "correct docker in the stack; the old one still serves"
  }
  place /etc/docker/daemon.json
  systemctl is-enabled -q docker.service 2>/dev/null || systemctl enable -q docker.service
  inputs=(/etc/docker/daemon.json /usr/bin/dockerd /usr/sbin/dockerd)
  for path in "${BUNDLE_PATHS[@]}"; do
    [[ $path != /usr/local/share/ca-certificates/* ]] || inputs+=("$path")
  done
  if ! systemctl is-active -q docker.service; then
    say "starts Docker"
    systemctl reset-failed docker.service 2>/dev/null || true
    quietly "starting Docker" 180 systemctl start docker.service || docker_does_not_start
  elif older_than docker.service "${inputs[@]}"; then
    interrupt_runner "Docker restarts with its new configuration"
    say "restarts Docker"
    quietly "restarting Docker" 180 systemctl restart docker.service || docker_does_not_start
  fi
}

docker_does_not_start() {
  journalctl -u docker.service -n 10 -o cat --no-pager | sed 's/^/  | /' >&2 || true
  fail "Docker does not start" "read 'journalctl -u docker' on the host, then run pulumi up again"
}

docker_answers() {
  timeout 20 docker info >"$WORK/log" 2>&1
}

verify_docker() {
  wait_until 120 "Docker to answer" docker_answers || {
    show_log
    fail "Docker does not answer 'docker info' after 120 s" \
      "read 'journalctl -u docker' on the host, then run pulumi up again"
  }
  say "Docker $(docker version --format '{{.Server.Version}}') serves"
}
