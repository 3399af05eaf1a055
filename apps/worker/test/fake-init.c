// A stand-in for init in tests of the runtime alone: idles, eats memory, fills the disk, or makes tasks, as /etc/hostname says.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int mode_is(const char *word) {
  char text[64] = {0};
  int file = open("/etc/hostname", O_RDONLY);
  if (file < 0) return 0;
  long length = read(file, text, sizeof text - 1);
  close(file);
  return length > 0 && strncmp(text, word, strlen(word)) == 0;
}

int main(void) {
  for (;;) {
    if (mode_is("eat")) {
      for (;;) {
        char *block = malloc(1 << 20);
        if (block != NULL) memset(block, 1, 1 << 20);
      }
    }
    if (mode_is("fork")) {
      while (fork() >= 0) {
      }
      for (;;) pause();
    }
    if (mode_is("fill")) {
      static char block[1 << 20];
      int file = open("/filled", O_WRONLY | O_CREAT | O_TRUNC, 0600);
      memset(block, 1, sizeof block);
      while (write(file, block, sizeof block) > 0) {
      }
      close(file);
      while (mode_is("fill")) usleep(20000);
      unlink("/filled");
    }
    if (mode_is("exit")) return 3;
    usleep(20000);
  }
}
