/**
 * A separate process that brings back containers that the engine holds paused or stopped, when the process that asked for
 * that is killed: `node put-back-worker.ts KIND ENDPOINT STATE_DIR JOURNAL`.
 *
 * It prints "ready" once it is. On stdin it gets "d" when all is back. If the pipe closes first, the other process has
 * ended, and the journal says what to bring back.
 */
import { openEngine } from '../hosts/docker/index.ts';
import { putBackAtOnce } from '../quiesce/index.ts';

const [kind = '', endpoint = '', stateDir = '', journal = ''] = process.argv.slice(2);

async function putBack(): Promise<void> {
  await using host = await openEngine(kind === 'podman' ? kind : 'docker', endpoint);
  await putBackAtOnce(host, stateDir, journal);
}

// A service that is told to end is told so with all of its processes: the other one then brings its containers back itself.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
// The reader has ended, or is about to.
process.stdout.on('error', () => undefined);
process.stdin.on('data', (words: Buffer) => {
  if (words.includes('d')) process.exit();
});
let hasBegun = false;
for (const event of ['end', 'error'] as const)
  process.stdin.on(event, () => {
    if (hasBegun) return;
    hasBegun = true;
    // What is not back is left to the next command, which tells why.
    putBack().then(
      () => process.exit(),
      () => process.exit(1),
    );
  });
process.stdout.write('ready');
