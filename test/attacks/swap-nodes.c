/*
 * swap-nodes ROOT SECRET
 *
 * Plays root in a container that sees only a volume: it is locked into ROOT. Each regular file there changes places with
 * a FIFO, a device, a socket or a symbolic link to SECRET, and back, again and again. Says "ready" when these are made,
 * begins when a line is given to it, and says at SIGTERM how often anything changed places, and how often a FIFO or a
 * device of its was opened.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static volatile sig_atomic_t ended;

static void end(int signal) {
  (void)signal;
  ended = 1;
}

static long count_opens(int watches) {
  char buffer[64 * 1024];
  long opens = 0;
  for (ssize_t length; (length = read(watches, buffer, sizeof buffer)) > 0;)
    for (char *at = buffer; at < buffer + length; at += sizeof(struct inotify_event) + ((struct inotify_event *)at)->len)
      if (((struct inotify_event *)at)->mask & IN_OPEN) opens++;
  return opens;
}

static int make_node(int kind, const char *path, const char *secret) {
  if (kind == 0) return mkfifo(path, 0666);
  if (kind == 1) return mknod(path, S_IFCHR | 0666, makedev(1, 3));
  if (kind == 2) return symlink(secret, path);
  return mknod(path, S_IFSOCK | 0666, 0);
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  if (chroot(arguments[1]) != 0 || chdir("/") != 0) {
    perror("chroot");
    return 1;
  }
  signal(SIGTERM, end);
  int watches = inotify_init1(IN_NONBLOCK);
  mkdir("/lures", 0755);
  char (*names)[64] = NULL;
  int known = 0;
  DIR *listing = opendir("/");
  for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
    if (entry->d_type != DT_REG || strlen(entry->d_name) > 50) continue;
    names = realloc(names, (known + 1) * sizeof *names);
    strcpy(names[known], entry->d_name);
    char lure[80];
    snprintf(lure, sizeof lure, "/lures/%s", names[known]);
    int kind = known % 4;
    if (make_node(kind, lure, arguments[2]) != 0) {
      perror(lure);
      return 1;
    }
    if (kind < 2 && inotify_add_watch(watches, lure, IN_OPEN) < 0) {
      perror("inotify_add_watch");
      return 1;
    }
    known++;
  }
  int lures = open("/lures", O_RDONLY | O_DIRECTORY);
  int tree = open("/", O_RDONLY | O_DIRECTORY);
  printf("ready\n");
  fflush(stdout);
  getchar();
  long swaps = 0;
  long opens = 0;
  while (!ended) {
    for (int i = 0; i < known && !ended; i++)
      if (renameat2(tree, names[i], lures, names[i], RENAME_EXCHANGE) == 0) swaps++;
    opens += count_opens(watches);
  }
  opens += count_opens(watches);
  printf("swaps %ld\nopens %ld\n", swaps, opens);
  return 0;
}
