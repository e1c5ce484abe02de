#!/usr/bin/env bash
# Removes what GitLab Runner left in Docker: unused containers, networks and images with its label.
#
#   clear-docker-cache prune            all of these
#   clear-docker-cache prune-volumes    volumes as well (the default)
#   clear-docker-cache space            shows what Docker uses
set -euo pipefail

readonly label=label=com.gitlab.gitlab-runner.managed=true

if ! command -v docker >/dev/null; then
  echo "INFO: Docker installation not found, skipping clear-docker-cache"
  exit 0
fi
case ${1:-prune-volumes} in
prune) docker system prune -af --filter "$label" ;;
prune-volumes) docker system prune -af --volumes --filter "$label" ;;
space) docker system df ;;
*)
  echo "Usage: $0 prune-volumes|prune|space" >&2
  exit 1
  ;;
esac
