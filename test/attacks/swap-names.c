/*
 * swap-names VICTIM stage|link|target|import-stage|import-link
 * swap-names VICTIM stage|link|import-stage|import-link chroot
 *
 * Plays a user who owns the current folder, or a process as root that is locked into it. As fast as it can, it gives
 * names in it to something else and back. The name of a stage of a restore goes to a folder in which all that a stage
 * may hold is a symbolic link to VICTIM ("stage"), or to such a link ("link"); the name "data" goes to a link
 * ("target"). With "import-" it is the stage of an import, and what it goes to is called "lost+found", which an empty
 * volume may hold. Says "ready" when all that is made, begins when a line is given to it, and says at SIGTERM how often a
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

static const char *prefix = ".holdfast-restore-", *decoy = "decoy", *lure = "link";
static unsigned longest = 80000;
static const char *parts[] = {"new", "old", "done", "root-before", "root-after", "dropped",
                              "d0", "d1", "d2", "d3", "d4", "d9", "large"};

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
static void give(const char *name, const char *other) {
  usleep(upTo(upTo(3) == 0 ? longest : 2000));
  if (exchange(name, other) != 0) return;
  given++;
  usleep(upTo(upTo(3) == 0 ? longest / 2 : 2000));
  exchange(name, other);
}

/* A stage that has kept the name of what it was given for. An import takes it for one that a kill has left. */
static void putAway(const char *name) {
  rename(name, ".holdfast-stage-0000000000000000");
}

/* A restore may have taken them for data, and put them away. */
static void makeDecoys(const char *victim) {
  if (decoy != NULL) mkdir(decoy, 0777);
  for (size_t i = 0; decoy != NULL && i < sizeof parts / sizeof *parts; i++) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", decoy, parts[i]);
    if (symlink(victim, path) == 0) continue;
    if (errno == EACCES) return putAway(decoy);
    if (errno != EEXIST && errno != ENOENT && errno != ENOTDIR) perror(path);
  }
  struct stat found;
  if (lure == NULL || symlink(victim, lure) == 0) return;
  if (errno != EEXIST) perror(lure);
  if (lstat(lure, &found) == 0 && S_ISDIR(found.st_mode)) putAway(lure);
}

int main(int count, char **arguments) {
  if (count < 3) return 2;
  const char *victim = arguments[1], *what = arguments[2];
  if (count > 3 && (chroot(".") != 0 || chdir("/") != 0)) {
    perror("chroot");
    return 1;
  }
  if (!strncmp(what, "import-", 7)) {
    what += 7;
    prefix = ".holdfast-";
    longest = 8000;
    decoy = !strcmp(what, "stage") ? "lost+found" : NULL;
    lure = !strcmp(what, "link") ? "lost+found" : NULL;
  }
  makeDecoys(victim);
  signal(SIGTERM, end);
  puts("ready");
  fflush(stdout);
  if (getchar() == EOF) return 0;
  while (!ended) {
    if (!strcmp(what, "target")) {
      give("data", lure);
      continue;
    }
    makeDecoys(victim);
    DIR *listing = opendir(".");
    if (listing == NULL) break;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
      if (!strncmp(entry->d_name, prefix, strlen(prefix)))
        give(entry->d_name, !strcmp(what, "stage") ? decoy : lure);
    closedir(listing);
  }
  printf("given %lu\n", given);
  return 0;
}
