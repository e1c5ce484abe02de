#!/bin/sh
# Creates the runner's user and folder, and registers its service anew.
#
# A running service is stopped by whatever its unit says, and started again: on an upgrade this is
# where running jobs die unless somebody has drained the runner.
# Changes: user gitlab-runner, /etc/gitlab-runner, /etc/systemd/system/gitlab-runner.service.
set -e

user=gitlab-runner
unit=gitlab-runner.service
unit_file=/etc/systemd/system/$unit

if ! id -u "$user" >/dev/null 2>&1; then
  echo "GitLab Runner: creating $user..."
  useradd --system --shell /bin/bash --comment 'GitLab Runner' --create-home --skel /dev/null "$user"
fi
if id -nG "$user" | grep -qw docker; then
  echo "WARNING: $user is in the group docker, which is as good as root"
fi
home=$(getent passwd "$user" | cut -d: -f6)

mkdir -p /etc/gitlab-runner
chmod 0700 /etc/gitlab-runner

if ! command -v systemctl >/dev/null; then
  echo "GitLab Runner: WARNING: there is no systemctl, so no service is set up"
  exit 0
fi
running=
[ ! -d /run/systemd/system ] || running=yes

# Uninstalls the old service.
if [ -e "$unit_file" ]; then
  [ -z "$running" ] || systemctl stop "$unit" >/dev/null 2>&1 || :
  systemctl disable "$unit" >/dev/null 2>&1 || :
  rm -f "$unit_file"
fi

# Installs the new one.
sed "s|@HOME@|$home|; s|@USER@|$user|" /usr/share/gitlab-runner/service.template >"$unit_file"
systemctl enable "$unit" >/dev/null 2>&1
if [ -n "$running" ]; then
  systemctl daemon-reload
  systemctl start "$unit" || :
fi
