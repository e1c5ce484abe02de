#!/bin/sh
# dpkg's prerm of gitlab-runner: the service goes with the package. An upgrade leaves it to the new
# version's postinst.
set -e

if [ "$1" = remove ]; then
  /usr/share/gitlab-runner/pre-remove
fi
