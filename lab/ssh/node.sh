#!/usr/bin/env bash
# The sshd of one lab node, as the Proxmox provider meets it when it uploads snippets.
#
#   unshare --mount --pid --uts --fork --kill-child lab/ssh/node.sh NODE ADDRESS ROOT KEYS SNIPPETS PUBLIC_KEY
#
# NODE       name of the node
# ADDRESS    address to listen on, port 22
# ROOT       a Debian with openssh-server and sudo: the template's root, which stays as it is
# KEYS       folder with the node's ssh_host_ed25519_key; gets an empty folder, layer
# SNIPPETS   folder of the storage `local`; the node sees it at /var/lib/vz
# PUBLIC_KEY file with the key that may log in as `pulumi`
#
# Runs in namespaces of its own, over a layer in memory: users, sudo rules and mounts are gone with
# the process, and the machine never has them. Needs root. Ends with sshd.
set -euo pipefail

readonly node=$1 address=$2 root=$3 keys=$4 snippets=$5 public_key=$6
readonly user=pulumi uid=2000
# The rules that docs/quickstart.md gives, for the storage `local`.
readonly snippet='/usr/bin/tee ^/var/lib/vz/snippets/[A-Za-z0-9_][A-Za-z0-9_.-]*$'
readonly provider_commands="/usr/sbin/pvesm apiinfo, $snippet"

mount --make-rprivate /
layer=$keys/layer
mkdir -p "$layer"
mount -t tmpfs -o size=64m,mode=0755 "gitlab-runners-$node" "$layer"
mkdir "$layer/upper" "$layer/work" "$layer/root"
mount -t overlay overlay \
  -o "lowerdir=$root,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
cd "$layer/root"

mount -t proc proc proc
mount -t tmpfs -o mode=0755 run run
mount -t tmpfs -o mode=0755,nosuid dev dev
for device in null zero full random urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm run/sshd
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

hostname "$node"
echo "$node" >etc/hostname
printf '127.0.0.1 localhost\n%s %s.lab.test %s\n' "$address" "$node" "$node" >etc/hosts
rm -f etc/resolv.conf
printf 'nameserver 10.77.0.1\n' >etc/resolv.conf

# The user and the rules that the provider's documentation asks for on a node.
printf '%s:x:%s:%s::/home/%s:/bin/bash\n' "$user" "$uid" "$uid" "$user" >>etc/passwd
printf '%s:x:%s:\n' "$user" "$uid" >>etc/group
printf '%s:*:20000::::::\n' "$user" >>etc/shadow
install -d -o "$uid" -g "$uid" -m 0755 "home/$user"
printf '%s ALL=(root) NOPASSWD: %s\n' "$user" "$provider_commands" >etc/sudoers.d/provider
chmod 0440 etc/sudoers.d/provider
# What the provider asks to learn whether sudo works; a Proxmox node can do far more.
cat >usr/sbin/pvesm <<'PVESM'
#!/bin/sh
[ "$1" = apiinfo ] || { echo "pvesm: the lab knows apiinfo only" >&2; exit 255; }
printf 'APIVER 13\nAPIAGE 4\n'
PVESM
cat >usr/sbin/qm <<'QM'
#!/bin/sh
echo "qm: the lab has no command line for VMs, use the API" >&2
exit 255
QM
chmod 0755 usr/sbin/pvesm usr/sbin/qm

mkdir -p var/lib/vz etc/ssh/authorized_keys
mount --bind "$snippets" var/lib/vz
install -m 0600 "$keys/ssh_host_ed25519_key" etc/ssh/ssh_host_ed25519_key
install -m 0644 "$keys/ssh_host_ed25519_key.pub" etc/ssh/ssh_host_ed25519_key.pub
install -m 0644 "$public_key" "etc/ssh/authorized_keys/$user"
cat >etc/ssh/sshd_config <<CONFIG
ListenAddress $address
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/ssh/authorized_keys/%u
AllowUsers $user
AuthenticationMethods publickey
PermitRootLogin no
UsePAM no
PrintMotd no
Subsystem sftp internal-sftp
CONFIG

exec chroot . /usr/sbin/sshd -D -e
