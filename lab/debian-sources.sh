# shellcheck shell=bash
# What the build scripts of template and images share: apt sources for Debian 13 out of the machine's
# own mirrors, whatever they are called. Sourced, never run.
#
#   debian_sources WHAT SUITE [updates]   prints sources.list lines; ends the script that builds WHAT
#                                         when the machine has no Debian mirror

mirror_of() {
  find /etc/apt/sources.list /etc/apt/sources.list.d -type f -exec cat {} + 2>/dev/null |
    sed -nE 's/^(URIs:|deb( \[[^]]*\])?) *([^ ]+).*/\3/p' | grep -E "$1" | head -n 1 || true
}

debian_sources() {
  local what=$1 suite=$2 debian security
  debian=$(mirror_of '/debian/?$')
  security=$(mirror_of '/debian-security/?$')
  [ -n "$debian" ] || {
    echo "$what: no Debian mirror found in the machine's apt sources" >&2
    exit 1
  }
  echo "deb $debian $suite main"
  [ "${3:-}" != updates ] || echo "deb $debian $suite-updates main"
  [ -z "$security" ] || echo "deb $security $suite-security main"
}
