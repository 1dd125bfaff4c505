/*
 * swap-names VICTIM stage|link|target
 * swap-names VICTIM stage|link chroot
 *
 * Plays a user who owns the current folder, or a process as root that is locked into it. As fast as it can, it gives
 * names in it to something else and back. The name of a stage of a restore goes to a folder in which all that a stage
 * may hold is a symbolic link to VICTIM ("stage"), or to such a link ("link"); the name "data" goes to a link
 * ("target"). Says "ready" when all that is made, begins when a line is given to it, and says at SIGTERM how often a
 * name was given away.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char prefix[] = ".holdfast-restore-";
static const char *parts[] = {"new", "old", "done", "root-before", "root-after", "dropped"};

static volatile sig_atomic_t ended;
static unsigned long given;
static unsigned dice = 1;

static void end(int signal) {
  (void)signal;
  ended = 1;
}

static int exchange(const char *one, const char *other) {
  return renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
}

static unsigned upTo(unsigned most) {
  dice = dice * 1664525u + 1013904223u;
  return (dice >> 8) % most;
}

/* Waits first, so that every moment of the work is met, and now and then leaves time for much of it. */
static void give(const char *name, const char *decoy) {
  usleep(upTo(upTo(3) == 0 ? 80000 : 2000));
  if (exchange(name, decoy) != 0) return;
  given++;
  usleep(upTo(upTo(3) == 0 ? 40000 : 2000));
  exchange(name, decoy);
}

/* A restore may have taken them for data, and put them away. */
static void makeDecoys(const char *victim) {
  mkdir("decoy", 0777);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    char path[64];
    snprintf(path, sizeof path, "decoy/%s", parts[i]);
    if (symlink(victim, path) != 0 && errno != EEXIST && errno != ENOENT && errno != ENOTDIR) perror(path);
  }
  if (symlink(victim, "link") != 0 && errno != EEXIST) perror("link");
}

int main(int count, char **arguments) {
  if (count < 3) return 2;
  const char *victim = arguments[1], *what = arguments[2];
  if (count > 3 && (chroot(".") != 0 || chdir("/") != 0)) {
    perror("chroot");
    return 1;
  }
  makeDecoys(victim);
  signal(SIGTERM, end);
  puts("ready");
  fflush(stdout);
  if (getchar() == EOF) return 0;
  while (!ended) {
    if (!strcmp(what, "target")) {
      give("data", "link");
      continue;
    }
    makeDecoys(victim);
    DIR *listing = opendir(".");
    if (listing == NULL) break;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
      if (!strncmp(entry->d_name, prefix, sizeof prefix - 1))
        give(entry->d_name, !strcmp(what, "stage") ? "decoy" : "link");
    closedir(listing);
  }
  printf("given %lu\n", given);
  return 0;
}
