/*
 * swap-directories TREE LURES
 *
 * Plays a user who owns TREE. Each NAME in TREE that has a symbolic link NAME.lure in LURES changes places with it in one
 * step, and back, again and again, in the order in which a program that lists TREE comes to them. Says "ready" when it
 * has opened both, begins when a line is given to it, and says at SIGTERM how often anything changed places.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t ended;

static void end(int signal) {
  (void)signal;
  ended = 1;
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  int tree = open(arguments[1], O_RDONLY | O_DIRECTORY);
  int lures = open(arguments[2], O_RDONLY | O_DIRECTORY);
  if (tree < 0 || lures < 0) {
    perror("open");
    return 1;
  }
  signal(SIGTERM, end);
  char **names = NULL;
  int known = 0;
  DIR *listing = fdopendir(dup(tree));
  for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    char lure[300];
    snprintf(lure, sizeof lure, "%s.lure", entry->d_name);
    if (faccessat(lures, lure, F_OK, AT_SYMLINK_NOFOLLOW) != 0) continue;
    names = realloc(names, (known + 1) * sizeof *names);
    names[known++] = strdup(entry->d_name);
  }
  printf("ready\n");
  fflush(stdout);
  getchar();
  long swaps = 0;
  for (int first = 0; !ended;) {
    int found = 0;
    for (int i = first; i < known && found < 6 && !ended; i++) {
      int is_there = 0;
      char lure[300];
      snprintf(lure, sizeof lure, "%s.lure", names[i]);
      for (int turn = 0; turn < 3; turn++)
        if (renameat2(tree, names[i], lures, lure, RENAME_EXCHANGE) == 0) {
          is_there = 1;
          swaps++;
        }
      /* What was deleted is behind the one who deletes. */
      if (!is_there && found == 0) first = i + 1;
      found += is_there;
    }
    if (found == 0) usleep(100);
    if (first >= known) first = 0;
  }
  printf("swaps %ld\n", swaps);
  return 0;
}
