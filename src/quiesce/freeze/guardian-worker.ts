/**
 * A process of its own that lets containers run again when the one that froze them cannot: `node guardian-worker.ts
 * DEADLINE_MS FOLDER…`, the folders being those of their control groups.
 *
 * It says "ready" when it is. On its standard input it is told "f" before they are frozen, which starts its clock, and "d"
 * when they run again. When the other end of that pipe is closed first, because that process has ended however it did, or
 * the time is over, or somebody ends this one, it thaws them all.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const [deadlineMs = '0', ...folders] = process.argv.slice(2);
let isFreezing = false;

function thawAll(): never {
  for (const folder of isFreezing ? folders : []) {
    try {
      writeFileSync(`${folder}/cgroup.freeze`, '0', { flag: 'r+' });
    } catch {
      // The container is gone: then it is not frozen either.
    }
  }
  process.exit();
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, thawAll);
// Whoever reads no more has ended, or does so soon.
process.stdout.on('error', () => undefined);
process.stdin.on('data', (words: Buffer) => {
  for (const word of words.toString('latin1')) {
    if (word === 'd') process.exit();
    if (word !== 'f') continue;
    isFreezing = true;
    setTimeout(thawAll, Number(deadlineMs));
  }
});
process.stdin.on('end', thawAll);
process.stdin.on('error', thawAll);
spareFromOutOfMemory();
process.stdout.write('ready');

/** When memory is short, this one is not to be ended before the one that it watches. */
function spareFromOutOfMemory(): void {
  try {
    const score = Number(readFileSync('/proc/self/oom_score_adj', 'latin1'));
    writeFileSync('/proc/self/oom_score_adj', String(Math.min(score, -900)));
  } catch {
    // That is root's to do.
  }
}
