// sallyport-hide PROGRAM [ARGUMENT...]: runs a program in a mount namespace of its own in which /proc/sys/net is empty.
// runsc before 2024-08 takes a visible /proc/sys/net/core/rmem_default for the root network namespace and refuses to
// start (google/gvisor#10704). One small static program, since the same by unshare, sh and mount costs three more
// process starts in each start of a sandbox.
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static int fail(const char *what) {
  fprintf(stderr, "sallyport-hide: %s: %s\n", what, strerror(errno));
  return 125;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fputs("usage: sallyport-hide program [argument]...\n", stderr);
    return 125;
  }
  if (unshare(CLONE_NEWNS) != 0) return fail("cannot have a mount namespace");
  // Slave, so that what is mounted here stays here, and what the host unmounts goes here too.
  if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0) return fail("cannot separate mounts");
  if (mount("none", "/proc/sys/net", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=555") != 0)
    return fail("cannot hide /proc/sys/net");
  execv(argv[1], argv + 1);
  int code = errno == ENOENT ? 127 : 126;
  fail(argv[1]);
  return code;
}
