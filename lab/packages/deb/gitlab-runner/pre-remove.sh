#!/bin/sh
# Stops and removes the runner's service. Never fails: a package must be removable.
unit=gitlab-runner.service

[ ! -d /run/systemd/system ] || systemctl stop "$unit" >/dev/null 2>&1
systemctl disable "$unit" >/dev/null 2>&1
rm -f "/etc/systemd/system/$unit"
exit 0
