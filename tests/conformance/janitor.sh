#!/bin/sh
# Holds the namespaces of a node or a Docker: of processes, mounts and network. When its standard input ends, with whoever started it and
# however that ended, they end too: the kernel then kills what runs in them, and their mounts and links are gone with it.
# What a kernel keeps beyond namespaces, cgroups and the folder, is removed here.
#
#   janitor.sh FOLDER CGROUP    from the tests
#   janitor.sh FOLDER           from itself: the first process in the namespaces

folder=$1
cgroup=$2

if [ -z "$cgroup" ]; then
  set -e
  # Pods' mounts go from the node to pods and not to the machine.
  mount --make-rshared /
  mkdir -p "$folder/var" "$folder/work"
  mount -t overlay lanyard-var -o "lowerdir=/var,upperdir=$folder/var,workdir=$folder/work" /var
  mount -t tmpfs lanyard-run /run
  ip link set lo up
  echo 1 > /proc/sys/net/ipv4/ip_forward
  touch "$folder/ready"
  # The first process of a namespace inherits orphans; a shell that waits buries them.
  while :; do sleep 3600 & wait $!; done
fi

trap '' INT TERM HUP
unshare --pid --fork --kill-child --mount --net --mount-proc sh "$0" "$folder" < /dev/null &
holder=$!
echo $holder > "$folder/holder"
cat > /dev/null
kill -s KILL $holder
wait $holder 2> /dev/null
tenths=0
for tree in "/sys/fs/cgroup/$cgroup" /sys/fs/cgroup/*/"$cgroup"; do
  # Empty as soon as the last of the killed is buried.
  while [ -d "$tree" ] && [ $tenths -lt 100 ]; do
    find "$tree" -depth -type d -exec rmdir {} + 2> /dev/null || sleep 0.1
    tenths=$((tenths + 1))
  done
done
rm -rf --one-file-system -- "$folder"
