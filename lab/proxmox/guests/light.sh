#!/usr/bin/env bash
# One light guest: the template's root file system, booted by systemd-nspawn.
#
#   lab/proxmox/guests/light.sh DIR
#
# DIR/plan holds the guest as shell assignments:
#   NAME=vm101  UUID=…            name of the container, machine id
#   ROOT=…                        root/ of the template, which stays as it is
#   EXTRA=…                       folder that is laid over it: what a light guest has besides
#   CGROUP=…                      folder of a control group of its own, made here
#   DISKS=(scsi0=FILE …)          images; the guest's own files are kept in the first one
#   NICS=(eth0=MAC=DEVICE=BRIDGE=MTU=up …)  DEVICE is a port of BRIDGE, in the network that this is
#                                 started in
# DIR/seed has the files of the cloud-init image. DIR/console.log gets what the guest prints.
#
# Everything that it makes (mounts, loop devices, interfaces, processes) belongs to namespaces of
# its own and is gone with it, however it ends; only the empty control groups stay. Needs root,
# systemd-container, e2fsprogs, iproute2. Ends when the guest is off.
set -euo pipefail

dir=$1
inside=${2:-}

if [ -z "$inside" ]; then
  exec {outer}</proc/self/ns/net
  exec unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$dir" "$outer"
fi

NAME='' UUID=''
# shellcheck source=/dev/null
. "$dir/plan"
echo 0 >"$CGROUP/cgroup.procs"
# systemd-nspawn keeps its own records there, and does not remove them all.
mount -t tmpfs -o mode=0755,size=16m tmpfs /run

# --- Disks: a loop device goes away by itself once nobody has it open ---------------------------
binds=()
list=
letters=abcdefghijklmnopqrstuvwxyz
index=0
for disk in "${DISKS[@]}"; do
  device=$(losetup --find --show "${disk#*=}")
  # shellcheck disable=SC2034 # open for as long as this runs
  exec {held}<>"$device"
  losetup --detach "$device"
  name=sd${letters:index:1}
  index=$((index + 1))
  # The kernel calls it loopN, and so does lsblk.
  binds+=("--bind=$device:/dev/$name" "--bind=$device:$device")
  list+="$name ${disk%%=*}"$'\n'
  [ "$index" -gt 1 ] || root_device=$device
done
printf '%s' "$list" >"$dir/disks"

# --- Root: the template below, what the guest writes in its first disk --------------------------
mkdir -p "$dir/disk" "$dir/root"
if [ -z "$(blkid -p -s TYPE -o value "$root_device" || true)" ]; then
  mke2fs -q -t ext4 -L root -E lazy_itable_init=1,nodiscard "$root_device"
else
  # Before it is mounted: growing a mounted file system takes more rights. 1: errors were mended.
  e2fsck -fp "$root_device" >/dev/null || [ $? -eq 1 ]
  resize2fs "$root_device" >/dev/null 2>&1
fi
mount -t ext4 "$root_device" "$dir/disk"
mkdir -p "$dir/disk/upper" "$dir/disk/work"
mount -t overlay overlay \
  -o "lowerdir=$EXTRA:$ROOT,upperdir=$dir/disk/upper,workdir=$dir/disk/work" "$dir/root"

# --- Network: one veth pair for each device -----------------------------------------------------
for nic in "${NICS[@]}"; do
  IFS='=' read -r name mac device bridge mtu state <<<"$nic"
  nsenter --net="/proc/self/fd/$inside" ip -batch - <<IP
link add $device mtu $mtu type veth peer name $name address $mac mtu $mtu netns $$
link set $device master $bridge $state
IP
done

# A guest that reboots ends systemd-nspawn with 133.
readonly rebooted=133
status=$rebooted
while [ "$status" -eq "$rebooted" ]; do
  status=0
  SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_API_VFS_WRITABLE=network \
    systemd-nspawn --quiet --boot --directory="$dir/root" --machine="$NAME" --uuid="$UUID" \
    --register=no --keep-unit --settings=no --link-journal=no --timezone=off --resolv-conf=off \
    --capability=all --system-call-filter="add_key keyctl bpf" --console=pipe \
    --network-namespace-path="/proc/$$/ns/net" "${binds[@]}" \
    --bind-ro="$dir/disks:/run/pve-disks" --bind-ro="$dir/seed:/var/lib/cloud/seed/nocloud" \
    </dev/null >>"$dir/console.log" 2>&1 || status=$?
done
exit "$status"
