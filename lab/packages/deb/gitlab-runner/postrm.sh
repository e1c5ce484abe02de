#!/bin/sh
# dpkg's postrm of gitlab-runner: systemd forgets the unit. Configuration and user stay, as with the
# real package, also when it is purged.
set -e

if [ -d /run/systemd/system ]; then
  systemctl daemon-reload >/dev/null 2>&1 || :
fi
