#!/bin/sh
# dpkg's postinst of gitlab-runner: the service is set up anew, and what jobs left in Docker goes.
#
# NO_DOCKER_PRUNE=1 in the environment keeps the latter.
set -e

case "$1" in
configure)
  /usr/share/gitlab-runner/post-install
  if [ "${NO_DOCKER_PRUNE:-}" != 1 ]; then
    /usr/share/gitlab-runner/clear-docker-cache prune || :
  fi
  ;;
abort-upgrade | abort-remove | abort-deconfigure) ;;
*)
  echo "postinst called with unknown argument '$1'" >&2
  exit 1
  ;;
esac
