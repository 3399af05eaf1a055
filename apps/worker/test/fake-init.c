// A stand-in for init in tests of the runtime alone: idles, eats memory, or makes tasks, as /etc/hostname says.
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
    if (mode_is("exit")) return 3;
    usleep(20000);
  }
}
