/**
 * A separate process that thaws containers when the one that froze them cannot: `node guardian-worker.ts
 * DEADLINE_MS FOLDER…`, where the folders are those of their control groups.
 *
 * It prints "ready" once it is. On stdin it gets "f" before the freeze, which starts its clock, and "d" when
 * the containers run again. If the pipe closes first, because the other process has ended, or the deadline
 * passes, or this process is told to end, it thaws them all.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const [deadlineMs = '0', ...folders] = process.argv.slice(2);
let isFreezing = false;

function thawAll(): never {
  for (const folder of isFreezing ? folders : []) {
    try {
      writeFileSync(`${folder}/cgroup.freeze`, '0', { flag: 'r+' });
    } catch {
      // The container is gone, and so not frozen.
    }
  }
  process.exit();
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, thawAll);
// A reader that is gone has ended, or is about to.
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

/** When memory is short, the kernel must not kill this process before the one that it watches. */
function spareFromOutOfMemory(): void {
  try {
    const score = Number(readFileSync('/proc/self/oom_score_adj', 'latin1'));
    writeFileSync('/proc/self/oom_score_adj', String(Math.min(score, -900)));
  } catch {
    // Only root may do that.
  }
}
