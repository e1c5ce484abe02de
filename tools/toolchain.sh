#!/usr/bin/env bash
# Brings the programs that `make lab` runs and that no package of this machine brings.
#
#   tools/toolchain.sh ensure         prepare all of them, show progress, print what is used
#   tools/toolchain.sh install HOME   lay the plugins into HOME, a PULUMI_HOME; quick when nothing changed
#   tools/toolchain.sh env HOME       print the shell's exports for a run with that PULUMI_HOME
#   tools/toolchain.sh cache          print the cache folder
#
# pulumi            from PATH when it is new enough and can get its plugins, otherwise built
# language host     beside pulumi: comes with an installed one, otherwise built
# plugins           LAB_PLUGINS=DIR: programs pulumi-resource-NAME in it go before all others;
#                   otherwise the vendor's where pulumi can get them, otherwise the lab's (lab/go)
# gitlab-runner     the lab's stand-in for the guests (lab/go); LAB_RUNNER=FILE takes another later
#
# Everything built goes to $CACHE/build, once for each content of its sources. `install` makes
# HOME/plugins/resource-NAME-vVERSION/pulumi-resource-NAME, plain files, with the versions of the
# npm SDKs. `env` prints PATH (the built pulumi and the package's Node.js 24 first) and PULUMI_*;
# backend and passphrase are the caller's.
# Needs: bash, coreutils, util-linux; Go >= 1.26 for what has to be built; `npm ci` before `install`.
# Changes: the cache folder, $GITLAB_RUNNERS_CACHE or ~/.cache/gitlab-runner-proxmox; HOME/plugins.
set -euo pipefail

readonly PULUMI_VERSION=3.259.0
readonly PULUMI_OLDEST=3.231.0
readonly GO_OLDEST=1.26
readonly PLUGINS=(random command gitlab proxmoxve)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly cache=${GITLAB_RUNNERS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gitlab-runner-proxmox}
readonly build=$cache/build

say() { printf 'toolchain: %s\n' "$*" >&2; }
die() {
  printf 'toolchain: %s\n' "$*" >&2
  exit 1
}

# newer_or_equal A B: version A is at least B.
newer_or_equal() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# installed_pulumi: prints the path of a pulumi on PATH that is new enough and can get a plugin.
installed_pulumi() {
  local path version probe
  path=$(command -v pulumi) || return 1
  version=$("$path" version 2>/dev/null) || return 1
  version=${version#v}
  if ! newer_or_equal "$version" "$PULUMI_OLDEST"; then
    say "pulumi $version at $path is older than $PULUMI_OLDEST: not used"
    return 1
  fi
  if [ -f "$build/plugins-by-vendor" ] && [ "$(cat "$build/plugins-by-vendor")" = "$path $version" ]; then
    printf '%s\n' "$path"
    return 0
  fi
  # The smallest of the plugins in use tells whether the vendor's hosts can be reached.
  probe=$(mktemp -d)
  if PULUMI_HOME=$probe PULUMI_SKIP_UPDATE_CHECK=true timeout 60 \
    "$path" plugin install resource random "$(npm_version @pulumi/random)" >/dev/null 2>&1; then
    rm -rf "$probe"
    printf '%s %s\n' "$path" "$version" >"$build/plugins-by-vendor"
    printf '%s\n' "$path"
    return 0
  fi
  rm -rf "$probe"
  say "pulumi $version at $path cannot download plugins from here: not used"
  return 1
}

# npm_version PACKAGE: the version of the SDK as the program loads it.
npm_version() {
  local manifest=$root/node_modules/$1/package.json
  [ -f "$manifest" ] || die "$1 is not installed: run npm ci first"
  sed -n 's|^ *"version": *"v\{0,1\}\([0-9][^"]*\)".*|\1|p' "$manifest" | head -n 1
}

# npm_package PLUGIN: the npm package that asks for the plugin.
npm_package() {
  case $1 in
  proxmoxve) printf '@muhlba91/pulumi-proxmoxve\n' ;;
  *) printf '@pulumi/%s\n' "$1" ;;
  esac
}

need_go() {
  local version
  command -v go >/dev/null ||
    die "Go is not installed. Install Go $GO_OLDEST or newer, or a pulumi >= $PULUMI_OLDEST that can download its plugins."
  version=$(go env GOVERSION)
  version=${version#go}
  newer_or_equal "$version" "$GO_OLDEST" ||
    die "Go $version is too old to build what is missing: install Go $GO_OLDEST or newer."
}

# stamp DIR...: a hash of the sources in the folders; changes when one of them does.
stamp() {
  (cd "$root" && find "$@" -type f \( -name '*.go' -o -name go.mod -o -name go.sum -o -name '*.json' \) \
    -not -name '*_test.go' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)
  printf '%s\n' "$PULUMI_VERSION"
}

# build_go NAME MODULE OUTPUT STAMP FLAGS... PACKAGE: one program, when its stamp has changed.
build_go() {
  local name=$1 module=$2 output=$3 want=$4 started log
  shift 4
  if [ -x "$output" ] && [ -f "$output.stamp" ] && [ "$(cat "$output.stamp")" = "$want" ]; then
    return 0
  fi
  need_go
  log=$build/log/$name.log
  mkdir -p "$(dirname "$output")" "$build/log"
  started=$SECONDS
  say "building $name (the first time takes minutes; log: $log)"
  (cd "$root/$module" && CGO_ENABLED=0 go build -trimpath -o "$output.new" "$@") >"$log" 2>&1 &
  local pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 1
    [ $(((SECONDS - started) % 30)) -ne 0 ] || [ "$SECONDS" -eq "$started" ] ||
      say "  still building $name, $((SECONDS - started)) s"
  done
  if ! wait "$pid"; then
    tail -n 20 "$log" >&2
    die "$name could not be built; the whole log is in $log"
  fi
  mv "$output.new" "$output"
  printf '%s\n' "$want" >"$output.stamp"
  say "built $name in $((SECONDS - started)) s"
}

ensure_pulumi() {
  local system ldflags
  mkdir -p "$build/bin"
  if system=$(installed_pulumi); then
    say "pulumi: $system, with the vendor's plugins"
    return 0
  fi
  rm -f "$build/plugins-by-vendor"
  ldflags="-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v$PULUMI_VERSION"
  build_go pulumi tools/pulumi "$build/bin/pulumi" "$(stamp tools/pulumi)" \
    -tags osusergo,grpcnotrace -ldflags "$ldflags" github.com/pulumi/pulumi/pkg/v3/cmd/pulumi
  build_go pulumi-language-nodejs tools/pulumi-language-nodejs "$build/bin/pulumi-language-nodejs" \
    "$(stamp tools/pulumi-language-nodejs)" -ldflags "$ldflags" \
    github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs
  say "pulumi: $build/bin/pulumi ($PULUMI_VERSION, built from source)"
}

# supplied PLUGIN: prints the program that LAB_PLUGINS brings for it, if any.
supplied() {
  local program=${LAB_PLUGINS:-}/pulumi-resource-$1
  if [ -n "${LAB_PLUGINS:-}" ] && [ -x "$program" ]; then
    printf '%s\n' "$program"
  fi
}

# plugin_stamp PLUGIN: a hash of what its program is made of.
plugin_stamp() {
  local sources=(lab/go/go.mod lab/go/go.sum "lab/go/cmd/pulumi-resource-$1")
  if [ -d "$root/lab/go/internal/$1" ]; then
    sources+=("lab/go/internal/$1" lab/go/internal/plugin)
  fi
  stamp "${sources[@]}"
}

ensure_plugins() {
  local name want
  if [ -f "$build/plugins-by-vendor" ]; then
    return 0
  fi
  for name in "${PLUGINS[@]}"; do
    if [ -n "$(supplied "$name")" ]; then
      continue
    fi
    want=$(plugin_stamp "$name")
    build_go "pulumi-resource-$name" lab/go "$build/plugins/pulumi-resource-$name" "$want" \
      -ldflags "-s -w" "./cmd/pulumi-resource-$name"
  done
  say "plugins: $build/plugins"
}

ensure_runner() {
  local name want
  want=$(stamp lab/go/cmd/gitlab-runner lab/go/cmd/gitlab-runner-helper lab/go/internal)
  for name in gitlab-runner gitlab-runner-helper; do
    build_go "$name" lab/go "$build/gitlab-runner/$name" "$want" -ldflags "-s -w" "./cmd/$name"
  done
  say "gitlab-runner: $build/gitlab-runner"
}

# install_plugins HOME: what `pulumi plugin install` would do, from the programs at hand.
install_plugins() {
  local home=$1 name version source folder laid=()
  for name in "${PLUGINS[@]}"; do
    source=$(supplied "$name")
    if [ -z "$source" ]; then
      [ ! -f "$build/plugins-by-vendor" ] || continue
      source=$build/plugins/pulumi-resource-$name
    fi
    [ -x "$source" ] || die "$source is missing: run tools/toolchain.sh ensure first"
    version=$(npm_version "$(npm_package "$name")")
    folder=$home/plugins/resource-$name-v$version
    mkdir -p "$folder"
    if ! cmp -s "$source" "$folder/pulumi-resource-$name"; then
      # A plugin that is running cannot be written to, but replaced.
      cp "$source" "$folder/.new"
      mv "$folder/.new" "$folder/pulumi-resource-$name"
    fi
    laid+=("$name $version")
  done
  if [ "${#laid[@]}" -eq 0 ]; then
    say "plugins: pulumi gets the vendor's itself"
  else
    say "plugins in $home/plugins: $(printf '%s, ' "${laid[@]}" | sed 's/, $//')"
  fi
}

# print_env HOME: exports for a shell.
print_env() {
  local home=$1
  # An installed pulumi that was chosen must not be hidden by one that was built before.
  # shellcheck disable=SC2016 # the shell that reads it expands it
  [ -f "$build/plugins-by-vendor" ] || printf 'export PATH=%q:"$PATH"\n' "$build/bin"
  # shellcheck disable=SC2016
  printf 'export PATH=%q:"$PATH"\n' "$root/node_modules/node/bin"
  printf 'export PULUMI_HOME=%q\n' "$home"
  printf 'export %s\n' PULUMI_SKIP_UPDATE_CHECK=true PULUMI_CREDENTIAL_STORE=plaintext \
    PULUMI_DISABLE_CI_DETECTION=1
  if [ ! -f "$build/plugins-by-vendor" ]; then
    printf 'export %s\n' PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true \
      PULUMI_DISABLE_REGISTRY_RESOLVE=true
  fi
}

# home_of ARGS: the absolute path of the PULUMI_HOME that a command names.
home_of() {
  if [ $# -ne 1 ] || [ -z "$1" ]; then
    die "$usage"
  fi
  realpath -m "$1"
}

readonly usage="usage: tools/toolchain.sh ensure | install HOME | env HOME | cache"

case ${1:-} in
ensure)
  [ -d "$root/node_modules/@pulumi/pulumi" ] || die "the npm packages are missing: run npm ci first"
  mkdir -p "$build"
  # Two runs at once would build the same thing twice.
  exec 9>"$build/lock"
  flock 9
  ensure_pulumi
  ensure_plugins
  ensure_runner
  ;;
install | env)
  home=$(home_of "${@:2}")
  if [ "$1" = install ]; then install_plugins "$home"; else print_env "$home"; fi
  ;;
cache) printf '%s\n' "$cache" ;;
*) die "$usage" ;;
esac
