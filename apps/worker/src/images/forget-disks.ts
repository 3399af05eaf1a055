// What a new mount namespace must let go of.

/**
 * Shell, to be run first in a mount namespace made from the worker's. It may have been copied while a sandbox was being made,
 * whose disk is mounted for that moment: a copy of that mount would hold the disk beyond the sandbox's end.
 */
export const FORGET_DISKS = `for point in $(cut -d' ' -f5 /proc/self/mountinfo); do
  case $point in */bundles/bx-*) umount --lazy "$point" || : ;; esac
done`;
