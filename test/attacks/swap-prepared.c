/*
 * swap-prepared HOME
 *
 * Plays a user who owns HOME/0, HOME/1 and so on, in each of which a symbolic link "lure" leads to what belongs to
 * root. While root makes the folder "d" in one of them, "d" and its draft change places with the lure, and back, again
 * and again; when "done" is there, the next one is attacked. Says "ready", begins when a line is given to it, and says
 * at SIGTERM how often anything changed places.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t ended;

static void end(int signal) {
  (void)signal;
  ended = 1;
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  int home = open(arguments[1], O_RDONLY | O_DIRECTORY);
  if (home < 0) {
    perror("open");
    return 1;
  }
  signal(SIGTERM, end);
  printf("ready\n");
  fflush(stdout);
  getchar();
  long swaps = 0;
  for (int index = 0; !ended; index++) {
    char name[20];
    snprintf(name, sizeof name, "%d", index);
    int folder = openat(home, name, O_RDONLY | O_DIRECTORY);
    if (folder < 0) break;
    while (!ended && faccessat(folder, "done", F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
      for (int turn = 0; turn < 16; turn++) {
        if (renameat2(folder, ".d.holdfast-prepare", folder, "lure", RENAME_EXCHANGE) == 0) swaps++;
        if (renameat2(folder, "d", folder, "lure", RENAME_EXCHANGE) == 0) swaps++;
      }
    }
    close(folder);
  }
  while (!ended) pause();
  printf("swaps %ld\n", swaps);
  return 0;
}
