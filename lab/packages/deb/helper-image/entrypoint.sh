#!/bin/bash
# Entry point of the helper image: trusts the authority that the runner mounts, then runs the
# command.
set -e

authority=${CA_CERTIFICATES_PATH:-/etc/gitlab-runner/certs/ca.crt}
bundle=/etc/ssl/certs/ca-certificates.crt
if [ -f "$authority" ] && ! grep -qF "$(sed -n 2p "$authority")" "$bundle"; then
  echo "Updating CA certificates..."
  cat "$authority" >>"$bundle"
fi

exec "$@"
