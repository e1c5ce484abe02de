#!/usr/bin/env bash
# Makes a cloud-init template out of a vendor's cloud image. Runs on a Proxmox VE node.
#
# Usage: make-template.sh [options]
#   --image NAME      debian-13 (default), debian-12 or ubuntu-24.04
#   --build BUILD     that build of the image, such as 20251117-2299; default: the newest
#   --checksum HEX    refuse every image but this one: its SHA-512 (Debian) or SHA-256 (Ubuntu)
#   --file PATH       an image that was prepared elsewhere, guest agent included: nothing is
#                     downloaded, nothing in it is changed; --checksum (either kind) applies
#   --vmid ID         id of the template; default 9000
#   --name NAME       name of the template; default: the image's, such as debian-13
#   --storage NAME    storage of its disk and cloud-init drive; default local-lvm
#   --bridge NAME     bridge of its network device; default vmbr0
#   --tag TAG         tag by which a stack finds it; default ci-template
#   --pool NAME       pool that it is put into; default: none
#   --replace         when --vmid is a template with this tag, destroy it once the image is ready
#   --dry-run         only print what would be done
#   --help            print this text
#
# Needs: root on a Proxmox VE 8 or 9 node; curl; for Ubuntu gpg; unless --file is given,
#   virt-customize (apt-get install libguestfs-tools dhcpcd-base) and a way out to the vendor and the
#   distribution's package servers; 5 GB in $TMPDIR, by default /var/tmp.
# Changes: makes one VM and turns it into a template. A run that fails removes the VM that it made,
#   and nothing else. The image is compared with the vendor's checksum before anything uses it:
#   Ubuntu's list is signed; Debian's list for cloud images is not, it is fetched over HTTPS.
set -euo pipefail
export LC_ALL=C

# UEC Image Automatic Signing Key <cdimage@ubuntu.com>, which signs the lists of cloud-images.ubuntu.com
readonly UBUNTU_KEY=D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81
readonly UBUNTU_KEY_URL="https://keyserver.ubuntu.com/pks/lookup?op=get&options=mr&search=0x$UBUNTU_KEY"

# Seconds that each part may take.
readonly QUERY_LIMIT=60
readonly LIST_LIMIT=120
readonly DOWNLOAD_LIMIT=3600
readonly CUSTOMIZE_LIMIT=1800
readonly CREATE_LIMIT=3600
readonly DESTROY_LIMIT=600

image=debian-13
build=
checksum=
file=
vmid=9000
name=
storage=local-lvm
bridge=vmbr0
tag=ci-template
pool=
replace=
dry_run=

work=
child=
ticker=
# What the VM of this run says of itself; set once it may exist.
mark=

say() { printf 'make-template: %s\n' "$*" >&2; }

die() {
  printf 'make-template: %s\n' "$*" >&2
  exit 1
}

usage() {
  sed -n '/^# Usage:/,/^#   --help/s/^# \{0,1\}//p' "$0"
}

# --- Running --------------------------------------------------------------------------------------

# Runs a command with a limit; its output goes to $work/log. $1: what it does. $2: seconds.
# Status of the command; 124 when the limit ended it.
quietly() {
  local what=$1 limit=$2 status=0
  shift 2
  ticker "$what" "$limit" &
  ticker=$!
  timeout -k 30 "$limit" "$@" >"$work/log" 2>&1 </dev/null &
  child=$!
  wait "$child" || status=$?
  child=
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  ticker=
  return "$status"
}

# Says every 15 s that something goes on. $1: what. $2: its limit in seconds.
ticker() {
  local start=$SECONDS silence
  trap - EXIT INT TERM HUP
  # A read that gets nothing: a sleep would live on when the ticker is ended.
  exec {silence}<> <(:)
  while ! read -rt 15 -u "$silence"; do
    say "$1: $((SECONDS - start)) s of at most $2 s"
  done
}

show_log() { tail -n 15 "$work/log" | sed 's/^/  | /' >&2; }

# The same, for what changes something: a dry run only prints it.
change() {
  local what=$1 limit=$2
  shift 2
  if [[ -n $dry_run ]]; then
    printf '%q ' "$@"
    echo
    return
  fi
  say "$what"
  quietly "$what" "$limit" "$@"
}

# Removes what this run made, and only that: another may have taken the id at the same moment.
clean_up() {
  local status=$?
  trap - EXIT INT TERM HUP
  set +e
  [[ -z $ticker ]] || kill "$ticker" 2>/dev/null
  if [[ -n $child ]]; then
    kill "$child" 2>/dev/null
    wait "$child" 2>/dev/null
  fi
  if ((status)) && [[ -n $mark ]] &&
    timeout "$QUERY_LIMIT" qm config "$vmid" 2>/dev/null | grep -Eq "^description: $mark(%0A)?\$"; then
    say "removes the half-made VM $vmid"
    timeout -k 30 "$DESTROY_LIMIT" qm destroy "$vmid" --purge 1 >&2 ||
      say "VM $vmid could not be removed: remove it with 'qm destroy $vmid --purge 1'"
  fi
  [[ -z $work ]] || rm -rf "$work"
  exit "$status"
}

# --- Arguments ------------------------------------------------------------------------------------

value() { [[ -n ${2:-} && $2 != --* ]] || die "$1 needs a value; see --help"; }

read_arguments() {
  while (($#)); do
    case $1 in
      --image | --build | --checksum | --file | --vmid | --name | --storage | --bridge | --tag | --pool)
        value "$@"
        printf -v "${1#--}" '%s' "$2"
        shift
        ;;
      --replace) replace=1 ;;
      --dry-run) dry_run=1 ;;
      --help)
        usage
        exit 0
        ;;
      *) die "unknown option $1; see --help" ;;
    esac
    shift
  done
}

check_arguments() {
  [[ $image =~ ^(debian-13|debian-12|ubuntu-24\.04)$ ]] ||
    die "--image is $image: choose debian-13, debian-12 or ubuntu-24.04"
  [[ $vmid =~ ^[1-9][0-9]{2,8}$ ]] || die "--vmid is $vmid: give a number from 100 to 999999999"
  : "${name:=${image//./-}}"
  [[ $name =~ ^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$ ]] ||
    die "--name is $name: use letters, digits, dashes and dots"
  [[ $storage =~ ^[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]$ ]] || die "--storage is $storage: no such name is possible"
  [[ $bridge =~ ^[A-Za-z][A-Za-z0-9_.-]*$ ]] || die "--bridge is $bridge: no such name is possible"
  [[ $tag =~ ^[a-z0-9_][a-z0-9_+.-]*$ ]] ||
    die "--tag is $tag: use lower-case letters, digits and _ + . -"
  [[ $pool =~ ^([A-Za-z0-9_.-]+)?$ ]] || die "--pool is $pool: use letters, digits and _ . -"
  [[ $build =~ ^([0-9]{8}(-[0-9]+|\.[0-9]+)?)?$ ]] || die "--build is $build: write it as the vendor does, 20251117-2299"
  checksum=${checksum,,}
  [[ $checksum =~ ^([0-9a-f]{64}|[0-9a-f]{128})?$ ]] ||
    die "--checksum has ${#checksum} characters: a SHA-256 has 64 hexadecimal digits, a SHA-512 128"
  if [[ -n $file ]]; then
    [[ -z $build ]] || die "--build chooses what is downloaded, --file downloads nothing: give one of the two"
    [[ -s $file ]] || die "--file $file does not exist or is empty"
    file=$(realpath -- "$file")
  fi
}

# Where the image is: sets base, remote, list and algorithm.
choose_image() {
  case $image in
    debian-*)
      local codename=trixie
      [[ $image == debian-13 ]] || codename=bookworm
      # `generic`, not `genericcloud`: its kernel has the drivers of every controller of Proxmox.
      base=https://cloud.debian.org/images/cloud/$codename/${build:-latest}
      remote=$image-generic-amd64${build:+-$build}.qcow2
      list=SHA512SUMS
      algorithm=sha512
      ;;
    ubuntu-*)
      base=https://cloud-images.ubuntu.com/releases/noble/release${build:+-$build}
      remote=$image-server-cloudimg-amd64.img
      list=SHA256SUMS
      algorithm=sha256
      ;;
  esac
  if [[ -n $checksum && -z $file ]]; then
    local digits=64
    [[ $algorithm == sha256 ]] || digits=128
    ((${#checksum} == digits)) ||
      die "--checksum has ${#checksum} digits, but $image is checked by ${algorithm/sha/SHA-}, which has $digits"
  fi
}

# --- Before anything is changed -------------------------------------------------------------------

need() {
  command -v "$1" >/dev/null || die "$1 is missing: $2"
}

check_machine() {
  if [[ -n $dry_run ]]; then
    return
  fi
  [[ $(id -u) == 0 ]] || die "this needs root on a Proxmox VE node: log in as root"
  local tool
  for tool in qm pvesm pvesh; do
    need "$tool" "run this on a Proxmox VE node"
  done
  if [[ -z $file ]]; then
    need curl "apt-get install curl"
    need virt-customize "apt-get install libguestfs-tools dhcpcd-base, or prepare the image elsewhere and give it with --file (docs/quickstart.md says how)"
    [[ $image != ubuntu-* ]] || need gpg "apt-get install gpg"
  fi
}

# All templates and guests of the cluster, one JSON object a line.
guests() {
  timeout "$QUERY_LIMIT" pvesh get /cluster/resources --type vm --output-format json |
    sed 's/},{/},\n{/g'
}

# Whether a line of guests() is a template with the tag.
is_ours() {
  local pattern=${tag//./\\.}
  pattern="\"tags\":\"([^\"]*;)?${pattern//+/\\+}(;[^\"]*)?\""
  [[ $1 =~ \"template\":1[,}] && $1 =~ $pattern ]]
}

check_cluster() {
  local all line answer taken='' others=()
  all=$(guests) || die "the cluster's guests cannot be listed: see that 'pvesh get /cluster/resources' answers"
  while IFS= read -r line; do
    if [[ $line =~ \"vmid\":${vmid}[,}] ]]; then
      taken=$line
    elif is_ours "$line"; then
      [[ ! $line =~ \"vmid\":([0-9]+) ]] || others+=("${BASH_REMATCH[1]}")
    fi
  done <<<"$all"
  ((${#others[@]} == 0)) ||
    die "template ${others[*]} has the tag $tag already: a stack that names the tag could not tell the two apart. Choose another --tag, or take it off the other with 'qm set ${others[0]} --delete tags'"
  if [[ -n $taken ]]; then
    [[ -n $replace ]] ||
      die "the id $vmid is taken: choose another --vmid, or say --replace if it is the old template"
    is_ours "$taken" ||
      die "--replace: $vmid is no template with the tag $tag, so it stays: choose another --vmid"
    timeout "$QUERY_LIMIT" qm config "$vmid" >/dev/null 2>&1 ||
      die "--replace: template $vmid is on another node: run this there"
  else
    # Asks for containers and for what the list does not show as well.
    answer=$(timeout "$QUERY_LIMIT" pvesh get /cluster/nextid --vmid "$vmid" 2>&1) ||
      die "the id $vmid is not free (${answer//$'\n'/ }): choose another --vmid"
    replace=
  fi
  timeout "$QUERY_LIMIT" pvesm status --content images --storage "$storage" 2>/dev/null |
    awk -v storage="$storage" '$1 == storage && $3 == "active" { found = 1 } END { exit !found }' ||
    die "the storage $storage takes no disk images on this node: 'pvesm status --content images' lists those that do; choose one with --storage"
}

# --- The image ------------------------------------------------------------------------------------

# $1: what. $2: seconds. $3: address. $4: file.
fetch() {
  change "downloads $1" "$2" curl --fail --silent --show-error --location \
    --proto =https --proto-redir =https --connect-timeout 30 --retry 3 \
    --speed-limit 1024 --speed-time 60 --output "$4" "$3" || {
    show_log
    die "$3 cannot be downloaded: see the lines above and the node's way out (https_proxy is heeded)"
  }
}

# The vendor's list of checksums, with its signature where there is one.
fetch_list() {
  fetch "the list of checksums" "$LIST_LIMIT" "$base/$list" "$work/$list"
  if [[ $image != ubuntu-* ]]; then
    say "Debian does not sign $list of its cloud images: it came over HTTPS, and no more vouches for it"
    return
  fi
  fetch "the list's signature" "$LIST_LIMIT" "$base/$list.gpg" "$work/$list.gpg"
  fetch "Ubuntu's signing key" "$LIST_LIMIT" "$UBUNTU_KEY_URL" "$work/key"
  [[ -z $dry_run ]] || return 0
  install -d -m 0700 "$work/gnupg"
  gpg --homedir "$work/gnupg" --batch --no-autostart --import "$work/key" >"$work/log" 2>&1 || true
  if ! gpg --homedir "$work/gnupg" --batch --no-autostart --status-fd 1 \
    --verify "$work/$list.gpg" "$work/$list" 2>"$work/log" |
    grep -Eq "^\[GNUPG:\] VALIDSIG .*\<$UBUNTU_KEY\$"; then
    show_log
    die "the signature of $base/$list is not by Ubuntu's key $UBUNTU_KEY: nothing was used"
  fi
  say "the list is signed by Ubuntu's key"
}

# Sets path to the image that goes into the template.
get_image() {
  local listed expected
  fetch_list
  path=$work/$remote
  if [[ -n $dry_run ]]; then
    fetch "$remote" "$DOWNLOAD_LIMIT" "$base/$remote" "$path"
    printf '%ssum %q # must print %s\n' "$algorithm" "$path" "${checksum:-what the list says}"
    return
  fi
  listed=$(awk -v name="$remote" '{ sub(/^\*/, "", $2) } $2 == name { print $1 }' "$work/$list")
  [[ $listed =~ ^[0-9a-f]+$ ]] || die "$base/$list does not name $remote: correct --image or --build"
  expected=${checksum:-$listed}
  [[ $listed == "$expected" ]] ||
    die "$base has another $remote than --checksum wants ($listed): name its --build, or take the new checksum"
  fetch "$remote" "$DOWNLOAD_LIMIT" "$base/$remote" "$path"
  verify "$path" "$expected"
}

# $1: file. $2: what its checksum must be.
verify() {
  local tool=sha512sum actual
  ((${#2} == 128)) || tool=sha256sum
  say "checks the image"
  actual=$("$tool" <"$1")
  [[ ${actual%% *} == "$2" ]] || die "the image is not what it should be: its checksum is ${actual%% *}, not $2. Nothing was used"
}

# Puts the guest agent in, and takes out what two machines must not share.
customize() {
  # virt-customize gives an empty machine-id a value first: hence the truncate at the end.
  LIBGUESTFS_BACKEND=direct change "puts the guest agent into the image" "$CUSTOMIZE_LIMIT" \
    virt-customize --add "$path" --no-logfile \
    --install qemu-guest-agent \
    --run-command 'apt-get clean' \
    --run-command 'rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /var/lib/dbus/machine-id /var/lib/systemd/random-seed' \
    --truncate /etc/machine-id || {
    show_log
    die "the image cannot be prepared: see the lines above. When names are not resolved, install dhcpcd-base on the node and try again"
  }
}

# --- The template ---------------------------------------------------------------------------------

make_template() {
  if [[ -n $replace ]]; then
    change "destroys the old template $vmid" "$DESTROY_LIMIT" qm destroy "$vmid" --purge 1 || {
      show_log
      die "the old template $vmid cannot be destroyed: see the lines above"
    }
  fi
  mark="gitlab-runners-template-$(</proc/sys/kernel/random/uuid)"
  # No --protection: clones would inherit it, and could not be removed.
  change "makes VM $vmid" "$CREATE_LIMIT" qm create "$vmid" \
    --name "$name" --description "$mark" --tags "$tag" ${pool:+--pool "$pool"} \
    --ostype l26 --cpu host --cores 2 --memory 2048 \
    --net0 "virtio,bridge=$bridge,firewall=1" \
    --scsihw virtio-scsi-single \
    --scsi0 "$storage:0,import-from=$path,format=raw,discard=on,iothread=1,ssd=1" \
    --ide2 "$storage:cloudinit" --boot order=scsi0 \
    --serial0 socket --vga serial0 --agent enabled=1 || {
    show_log
    die "VM $vmid cannot be made: see the lines above"
  }
  change "turns VM $vmid into a template" "$CREATE_LIMIT" qm template "$vmid" || {
    show_log
    die "VM $vmid cannot be turned into a template: see the lines above"
  }
}

main() {
  read_arguments "$@"
  check_arguments
  choose_image
  check_machine
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  work=$(mktemp -d "${TMPDIR:-/var/tmp}/make-template.XXXXXX")
  if [[ -z $dry_run ]]; then
    check_cluster
  fi
  if [[ -n $file ]]; then
    path=$file
    if [[ -n $checksum && -z $dry_run ]]; then
      verify "$path" "$checksum"
    fi
  else
    get_image
    customize
  fi
  make_template
  mark=
  if [[ -z $dry_run ]]; then
    say "template $vmid ($name) is ready; stacks find it by the tag $tag"
    say "its permissions are new: give the stack's token VM.Clone and VM.Audit on ${pool:+/pool/$pool or }/vms/$vmid"
  fi
}

main "$@"
