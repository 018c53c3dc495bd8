#!/bin/bash
# PID 1 of the guest after the initrd: sets the system up, runs /run/guest/command, leaves its exit code in /run/guest/code, powers off.
trap '' INT
cd /
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8

mkdir -p /dev/pts /dev/shm /tmp
chmod 1777 /tmp
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t debugfs debugfs /sys/kernel/debug
mount -t bpf bpf /sys/fs/bpf
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
hostname guest
ip link set lo up

# there is no udev: drivers of what is plugged in
cat /sys/bus/{pci,virtio}/devices/*/modalias 2>/dev/null | sort -u | xargs -r modprobe -a -b -q 2>/dev/null
if grep -qs share /sys/bus/virtio/drivers/9pnet_virtio/*/mount_tag; then
  mkdir -p /run/share
  mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,rw,cache=none share /run/share
fi
for port in /sys/class/virtio-ports/vport*; do
  ln -sf "/dev/${port##*/}" "/run/port.$(cat "$port/name")"
done

# a port has one opener, and no terminal's or pipe's manners: the command gets pipes
mkfifo /run/stdout /run/stderr
cat </run/stdout >/run/port.stdout &
out=$!
cat </run/stderr >/run/port.stderr &
err=$!
touch /run/guest/up
(
  # shortly before the time is over, what still runs, and in which call of the kernel what is stuck there
  . /run/guest/environment
  read -r up _ </proc/uptime
  sleep $((GUEST_SECONDS - 10 - ${up%.*})) || exit
  {
    echo 'guest: the time is nearly over. What still runs:'
    ps --ppid 2 -p 2 --deselect -o pid,stat,etimes,wchan:24,args
    for task in /proc/[0-9]*/task/*; do
      grep -qs '^State:.D' "$task/status" && cat "$task/comm" "$task/stack"
    done
  } >/run/stderr 2>&1
) &
watch=$!
(
  . /run/guest/environment
  cd "$GUEST_DIRECTORY" || exit 125
  exec setsid bash /run/guest/command </dev/null >/run/stdout 2>/run/stderr
)
code=$?
kill $watch 2>/dev/null
dmesg >/run/guest/dmesg
echo $code >/run/guest/code.new
mv /run/guest/code.new /run/guest/code
(
  sleep 5 # a process that the command left behind may hold the pipes open
  busybox poweroff -f
) &
wait $out $err
busybox poweroff -f
