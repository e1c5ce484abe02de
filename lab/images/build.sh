#!/usr/bin/env bash
# Builds the root file systems of the images that jobs run in, and of the runner's helper image.
#
#   lab/images/build.sh DIR      leaves DIR/{debian,alpine,helper}.tar
#
# debian   Debian 13 without documentation, with curl and the certificate authorities
# alpine   BusyBox and the authorities: small enough for a guest without hardware virtualisation
# helper   what the runner's helper image holds apart from the helper itself: BusyBox, bash, git
#          over HTTPS, the authorities, dumb-init
#
# All of it comes out of Debian packages, by the machine's own mirrors. Needs root and mmdebstrap.
# Takes about a minute; changes nothing outside of DIR.
set -euo pipefail

target=$1
readonly suite=trixie

# shellcheck source=lab/debian-sources.sh
. "$(dirname "${BASH_SOURCE[0]}")/../debian-sources.sh"
sources=$(debian_sources images "$suite")

work=$target.new
rm -rf --one-file-system "$work"
mkdir -p "$work"
root=$work/root

printf '%s\n' "$sources" | mmdebstrap --variant=minbase --mode=root --format=directory \
  --include=ca-certificates,curl --aptopt='Acquire::Check-Date "false"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/lintian/*' \
  "$suite" "$root" -

# pack NAME FOLDER: the same content gives the same bytes.
pack() {
  tar -C "$2" --sort=name --mtime=@0 --numeric-owner --xattrs \
    --pax-option=delete=atime,delete=ctime -cf "$work/$1.tar" .
}
pack debian "$root"

# The other two take single programs out of a larger system.
printf 'Acquire::Check-Date "false";\n' >"$root/etc/apt/apt.conf.d/99dates"
chroot "$root" apt-get -qq update
DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get -qq -y --no-install-recommends install \
  busybox-static bash git dumb-init >/dev/null

# new_root FOLDER: BusyBox under all of its names, users, the authorities.
new_root() {
  local name
  mkdir -p "$1"/{bin,sbin,usr/bin,usr/sbin,etc/ssl/certs,dev,proc,sys,run,root,home,var/log,opt}
  mkdir -m 1777 "$1/tmp" "$1/var/tmp"
  chmod 0700 "$1/root"
  cp "$root/bin/busybox" "$1/bin/busybox"
  chroot "$root" busybox --list-full | while read -r name; do
    [ -e "$1/$name" ] || ln -s /bin/busybox "$1/$name"
  done
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n' >"$1/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
  printf 'hosts: files dns\n' >"$1/etc/nsswitch.conf"
  cp "$root/etc/ssl/certs/ca-certificates.crt" "$1/etc/ssl/certs/ca-certificates.crt"
  ln -s certs/ca-certificates.crt "$1/etc/ssl/cert.pem"
  cp "$root/etc/services" "$root/etc/protocols" "$1/etc/" 2>/dev/null || true
}

# take FOLDER FILE...: programs with the libraries that they are linked to, under the same paths.
take() {
  local to=$1 file library
  shift
  for file in "$@"; do
    copy "$to" "$file"
    chroot "$root" ldd "$file" 2>/dev/null | grep -oE '/[^ ]+' | while read -r library; do
      copy "$to" "$library"
    done
  done
}

copy() {
  local from real
  # Debian's /lib is a link to usr/lib.
  from=$(sed -E 's#^/(s?bin|lib|lib64)/#/usr/\1/#' <<<"$2")
  real=$(readlink -f "$root$from")
  mkdir -p "$1$(dirname "$from")"
  rm -f "$1$from"
  cp "$real" "$1$from"
}

# The loader's place is fixed in every program.
loader() {
  mkdir -p "$1/usr/lib64"
  ln -s usr/lib "$1/lib"
  ln -s usr/lib64 "$1/lib64"
}

alpine=$work/alpine
new_root "$alpine"
cat >"$alpine/etc/os-release" <<'RELEASE'
NAME="BusyBox image of the lab, in the place of Alpine Linux"
ID=alpine-like
VERSION_ID=3.22
PRETTY_NAME="BusyBox image of the lab (no apk)"
RELEASE
pack alpine "$alpine"

helper=$work/helper
new_root "$helper"
loader "$helper"
take "$helper" /usr/bin/bash /usr/bin/git /usr/lib/git-core/git-remote-http /usr/bin/dumb-init
ln -s git-remote-http "$helper/usr/lib/git-core/git-remote-https"
for name in git-submodule git-sh-setup git-sh-i18n git-sh-i18n--envsubst; do
  copy "$helper" "/usr/lib/git-core/$name"
done
mkdir -p "$helper/usr/share/git-core/templates"
ln -sf /usr/bin/bash "$helper/bin/bash"
printf '[safe]\n\tdirectory = *\n' >"$helper/etc/gitconfig"
pack helper "$helper"

rm -rf --one-file-system "$root" "$alpine" "$helper"
rm -rf --one-file-system "$target"
mv "$work" "$target"
