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

# Grows a file system to the size of its disk, while nobody has it mounted: growing a mounted one
# takes CAP_SYS_RESOURCE, which the machine below may not have.
grow() {
  size=$(blockdev --getsize64 "$1")
  used=$(dumpe2fs -h "$1" 2>/dev/null |
    awk -F: '/^Block count/ { n = $2 } /^Block size/ { print n * $2 }')
  if [ -n "$used" ] && [ $((size - used)) -gt 1048576 ]; then
    e2fsck -fp "$1"
    resize2fs "$1"
  fi
}

awk '$1 ~ "^/dev/" && $3 == "ext4" { print $1, $2, $4 }' /etc/fstab |
  while read -r device folder options; do
    [ -b "$device" ] || continue
    case ,$options, in
      *,x-systemd.growfs,*) grow "$(readlink -f "$device")" ;;
    esac
    mkdir -p "$folder"
    mount "$folder" || true
  done
