#!/bin/sh
# What the kernel and udev do for the disks of a machine, done for those of a light guest: names
# under /dev/disk, and the mounts of /etc/fstab, which systemd leaves alone in a container.
#
# Reads /run/pve-disks, lines of DEVICE SLOT. Changes nothing but mounts and links under /dev.
set -u

mkdir -p /dev/disk/by-id
while read -r device slot; do
  ln -sf "../../$device" "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-$slot"
done </run/pve-disks

awk '$1 ~ "^/dev/" && $3 == "ext4" { print $1, $2, $4 }' /etc/fstab |
  while read -r device folder options; do
    [ -b "$device" ] || continue
    mkdir -p "$folder"
    mount "$folder" || continue
    case ,$options, in
      *,x-systemd.growfs,*) resize2fs "$(readlink -f "$device")" ;;
    esac
  done
