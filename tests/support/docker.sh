# Runs a private Docker Engine in the directory DIR until standard input ends, then ends it and removes DIR.
#
# To be run as root, as the first process of a process namespace and in a mount namespace, so that nothing
# it started or mounted outlives it. Standard input is a pipe that the test process alone holds: however
# that process ends, the pipe ends with it.
set -eu
dir=$1

NOTIFY_SOCKET=$dir/notify dockerd --storage-driver vfs --bridge=none --iptables=false --ip6tables=false \
    -H "unix://$dir/docker.sock" --data-root "$dir/data" --exec-root "$dir/exec" -p "$dir/pid" \
    </dev/null >"$dir/log" 2>&1 &
engine=$!

cat >/dev/null

# Asked kindly it also takes down the control groups of what runs; killed, it would leave those.
kill -TERM "$engine" || true
(
    sleep 20
    kill -KILL "$engine"
) 2>/dev/null &
wait "$engine" || true
rm -rf "$dir"
