#!/usr/bin/env bash
# Builds the lab's template: Debian 13 as its generic cloud image has it, as far as the program can
# tell: cloud-init, SSH, sudo, guest agent, no Docker, no machine-id.
#
#   lab/template/build.sh DIR     leaves DIR/{disk.qcow2,vmlinuz,initrd.img,root/}
#
# root/ is what light guests are copied from. Needs root, mmdebstrap, e2fsprogs, qemu-utils, and
# apt sources for the machine's own Debian, whose mirror is used for Debian 13 as well.
# Takes about a minute; changes nothing outside of DIR.
set -euo pipefail

target=$1
readonly suite=trixie
readonly packages=linux-image-cloud-amd64,initramfs-tools,systemd,systemd-sysv,systemd-resolved,udev,dbus,openssh-server,sudo,cloud-init,qemu-guest-agent,netplan.io,apparmor,ca-certificates,curl,gpg,gpgv,iproute2,iputils-ping,procps,less,e2fsprogs,cloud-guest-utils,libpam-systemd,systemd-timesyncd

# shellcheck source=lab/debian-sources.sh
. "$(dirname "${BASH_SOURCE[0]}")/../debian-sources.sh"
sources=$(debian_sources template "$suite" updates)

work=$target.new
rm -rf --one-file-system "$work"
mkdir -p "$work"

# shellcheck disable=SC2016 # $1 is mmdebstrap's: the root of the new system
printf '%s\n' "$sources" | mmdebstrap --variant=minbase --mode=root --format=directory \
  --include="$packages" --aptopt='Acquire::Check-Date "false"' \
  --customize-hook='echo debian > "$1/etc/hostname"' \
  --customize-hook='printf "datasource_list: [NoCloud, None]\n" > "$1/etc/cloud/cloud.cfg.d/90-datasource.cfg"' \
  --customize-hook='printf "LABEL=root / ext4 errors=remount-ro 0 1\n" > "$1/etc/fstab"' \
  --customize-hook='chroot "$1" systemctl enable ssh systemd-networkd systemd-resolved systemd-timesyncd' \
  --customize-hook='rm -f "$1"/etc/ssh/ssh_host_*' \
  --customize-hook=': > "$1/etc/machine-id"; rm -f "$1/var/lib/dbus/machine-id"' \
  --customize-hook='ln -sf ../run/systemd/resolve/stub-resolv.conf "$1/etc/resolv.conf"' \
  --customize-hook='printf "Acquire::Check-Valid-Until \"false\";\nAcquire::Check-Date \"false\";\n" > "$1/etc/apt/apt.conf.d/99lab-dates"' \
  "$suite" "$work/root" -

cp "$work"/root/boot/vmlinuz-* "$work/vmlinuz"
cp "$work"/root/boot/initrd.img-* "$work/initrd.img"
truncate -s 3G "$work/disk.raw"
mke2fs -q -t ext4 -L root -d "$work/root" "$work/disk.raw"
qemu-img convert -f raw -O qcow2 "$work/disk.raw" "$work/disk.qcow2"
rm "$work/disk.raw"
rm -rf --one-file-system "$target"
mv "$work" "$target"
