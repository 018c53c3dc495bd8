#!/bin/busybox sh
# PID 1 in the initrd: the machine's file tree (read-only), the guest's programs over it (read-only), a tmpfs over both; then goes there.
busybox=/bin/busybox
die() {
  echo "guest: $*"
  $busybox poweroff -f
}
mount_9p() { # tag folder options
  $busybox mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,$3" "$1" "$2" || die "cannot mount $1"
}

$busybox mount -t proc proc /proc
$busybox mount -t sysfs sysfs /sys
$busybox mount -t devtmpfs devtmpfs /dev
for module in $($busybox cat /modules/order); do
  $busybox insmod "/modules/$module" || die "cannot load $module"
done
# "loose" caches without asking again: nobody may count on changes made on the machine while a guest runs
mount_9p machine /machine ro,cache=loose
mount_9p programs /programs ro,cache=loose
$busybox mount -t tmpfs -o mode=755 tmpfs /written
$busybox mkdir /written/upper /written/work
layers=lowerdir=/programs:/machine,upperdir=/written/upper,workdir=/written/work
$busybox mount -t overlay -o $layers overlay /new || die "cannot lay the file trees over each other"
$busybox mount -t tmpfs -o mode=755 tmpfs /new/run
$busybox mkdir -p /new/run/guest /new/run/netns /new/run/lock
mount_9p guest /new/run/guest rw,cache=none
for folder in proc sys dev; do
  $busybox mount --move /$folder /new/$folder
done
exec $busybox switch_root /new /bin/bash /run/guest/start.sh
