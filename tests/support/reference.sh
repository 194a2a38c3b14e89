# Runs the real apk and writes what came of it to standard output as one tar: `log` (what apk printed),
# `status` (its exit code) and, unless only words are wanted, the root filesystem below `tree/`.
#
# To be run as root in a mount namespace of its own. Everything is on a tmpfs in that namespace, so that
# nothing is left when it ends, however it ends.
#
#   PLACE    an existing directory that hides nothing that is read, to mount on
#   BASE     the minirootfs, whose apk is run
#   ROOT     host: the minirootfs is the root filesystem; else the architecture of another one, empty or the
#            one in the tar target=FILE
#   SCRIPTS  yes: the root filesystem gets a /dev and a /proc, or scripts would write a file dev/null
#   EMIT     tree or words, or session: arguments are then read from standard input, a run a line, separated by tabs,
#            and what each run prints is written out at once, closed by a line `=== STATUS`
#   then target=FILE, key=FILE and repository=DIR (in apk /.reference/repositories/0 and so on), `--`, and apk's arguments
set -eu
place=$1 base=$2 root=$3 scripts=$4 emit=$5
shift 5

mount -t tmpfs -o mode=755 apkcompose-reference "$place"
host=$place/host
mkdir "$host"
tar -C "$host" --numeric-owner --xattrs --xattrs-include='*' -xpf "$base"
work=$host/.reference
mkdir "$work" "$work/keys" "$work/repositories"
: >"$work/none"

target=
count=0
while [ "$1" != -- ]; do
    case $1 in
    target=*)
        target=${1#target=}
        ;;
    key=*)
        cp "${1#key=}" "$work/keys/"
        ;;
    repository=*)
        mkdir "$work/repositories/$count"
        mount -o bind,ro "${1#repository=}" "$work/repositories/$count"
        count=$((count + 1))
        ;;
    esac
    shift
done
shift

tree=$host
if [ "$root" != host ]; then
    tree=$host/target
    mkdir "$tree"
    if [ -n "$target" ]; then
        tar -C "$tree" --numeric-owner --xattrs --xattrs-include='*' -xpf "$target"
    fi
    # A simulation does not make the database it needs.
    if [ "$emit" != tree ] && [ -z "$target" ]; then
        chroot "$host" /sbin/apk --root /target --initdb --arch "$root" add >/dev/null
    fi
fi
if [ "$scripts" = yes ]; then
    mkdir -p "$tree/dev" "$tree/proc"
    mount -t tmpfs -o mode=755 dev "$tree/dev"
    mknod -m 666 "$tree/dev/null" c 1 3
    mknod -m 666 "$tree/dev/zero" c 1 5
    mknod -m 666 "$tree/dev/random" c 1 8
    mknod -m 666 "$tree/dev/urandom" c 1 9
    mount -t proc proc "$tree/proc"
fi

if [ "$emit" = session ]; then
    set -f
    IFS=$(printf '\t')
    while read -r line; do
        status=0
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$host" /sbin/apk $line </dev/null 2>&1 || status=$?
        printf '\n=== %s\n' "$status"
    done
    exit
fi

status=0
if [ $# -gt 0 ]; then
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$host" /sbin/apk "$@" </dev/null >"$place/log" 2>&1 || status=$?
else
    : >"$place/log"
fi
echo "$status" >"$place/status"

if [ "$emit" = words ]; then
    exec tar -C "$place" -cf - log status
fi
if [ "$scripts" = yes ]; then
    umount "$tree/dev" "$tree/proc"
fi
while [ "$count" -gt 0 ]; do
    count=$((count - 1))
    umount "$work/repositories/$count"
done
rm -r "$work"
mv "$tree" "$place/tree"
exec tar -C "$place" --numeric-owner --xattrs --xattrs-include='*' -cf - log status tree
