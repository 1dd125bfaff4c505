import { realpath, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackupReport } from '../../../backup/index.ts';
import type { Container, Containers } from '../../../hosts/containers.ts';
import type { Host } from '../../../hosts/host.ts';
import { writeDurably } from '../../../lib/durable-file.ts';
import { errorInWords, knownError } from '../../../lib/known-error.ts';
import { openTrusted } from '../../../lib/open-trusted.ts';
import { removeDirectoryAt } from '../../../lib/posix-at.ts';
import { fromText } from '../../../model/byte-string.ts';
import { AppError, errnoOf, isAppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import { isUp, makeStill } from '../../../quiesce/index.ts';
import type { HostVolumes } from '../../../volumes/index.ts';
import { readSmallFile } from '../read-small-file.ts';
import type { ComposeProgram } from './compose-program.ts';
import type { DataMove, LineEdit } from './plan-moves.ts';

/** What carries out a move. */
export interface MoveMeans {
  readonly stateDir: string;
  readonly host: () => Promise<Host>;
  readonly volumes: () => Promise<Pick<HostVolumes, 'clone'>>;
  /** Saves volumes, each as a snapshot. */
  readonly backUp: (volumes: readonly string[], signal: AbortSignal | undefined) => Promise<BackupReport>;
  readonly compose: ComposeProgram;
}

export interface MoveReport {
  readonly move: DataMove;
  /** The snapshot of the anonymous volume that was made first. */
  readonly snapshotId: string;
  /** The container that runs on the named volume. */
  readonly container: string;
}

/**
 * Saves the data, stops its container, copies it into the named volume, changes the line of the Compose file,
 * and lets Compose make the container anew. The anonymous volume is left as it is. When a step fails before
 * the container was replaced, file and container are as they were.
 */
export async function applyMove(
  means: MoveMeans,
  move: DataMove,
  signal: AbortSignal | undefined,
): Promise<MoveReport> {
  const { host, containers } = await readyHost(means);
  await refuseOtherChanges(means, move, await stillTheSame(containers, move, signal), signal);
  const snapshotId = await save(means, move, signal);
  // To save it may have taken hours.
  const container = await stillTheSame(containers, move, signal);
  await refuseOtherChanges(means, move, container, signal);
  const reason = `move ${quote(move.from)} into ${quote(move.to)}`;
  const still = await makeStill(
    { host: () => Promise.resolve(host), stateDir: means.stateDir },
    { containers: [container], how: 'stop', reason },
    { signal },
  );
  // Starts the old container again, unless Compose has replaced it.
  await using _released = still;
  refusePaused(
    still.unstoppable.map(({ name }) => name),
    move,
  );
  const stopped = await findStopped(containers, move, signal);
  await removeLeftover(host, move, signal);
  const { problems } = await (await means.volumes()).clone({ from: move.from, to: move.to }, { signal });
  const [problem] = problems;
  if (problem !== undefined)
    throw new AppError('partial', `Not all of ${quote(move.from)} could be copied into ${quote(move.to)}`, {
      detail: `${problem.path}: ${problem.message}`,
      hint: 'The container runs on as before. Empty the named volume before you try again.',
    });
  const { startedAt } = await findStopped(containers, move, signal);
  if (startedAt !== stopped.startedAt) throw usedMeanwhile(move, move.containerName);
  // Started again after a kill, the old container would write where the next "up" does not look.
  await still.noteByHand(
    `its data is in ${quote(move.to)}, and ${quote(move.containerName)} stays stopped: run "docker compose up -d ${move.service}" in ${quote(move.directory)}`,
  );
  try {
    await makeAnew(means, { containers, move, signal });
  } catch (error) {
    // As before, or said by the error.
    await still.noteByHand(undefined).catch(() => undefined);
    throw error;
  }
  const replaced = await untilUp(containers, move, signal);
  return { move, snapshotId, container: replaced };
}

interface ToMakeAnew {
  readonly containers: Containers;
  readonly move: DataMove;
  readonly signal: AbortSignal | undefined;
}

async function makeAnew({ compose }: MoveMeans, { containers, move, signal }: ToMakeAnew): Promise<void> {
  const undoEdit = move.edit && (await changeLine(move.edit));
  try {
    await compose.up(move, signal);
  } catch (error) {
    throw await takeBack(containers, move, { error, undoEdit });
  }
}

async function readyHost({
  host: open,
  compose,
}: MoveMeans): Promise<{ host: Host; containers: Containers }> {
  const host = await open();
  if (host.containers === undefined)
    throw new AppError('unsupported', 'This host runs no containers whose data could be moved');
  await compose.check();
  return { host, containers: host.containers };
}

/** Between the plan and now the container may have been replaced. */
async function stillTheSame(
  containers: Containers,
  move: DataMove,
  signal: AbortSignal | undefined,
): Promise<Container> {
  const found = await containers.find(move.containerId, { signal });
  const isSame = found?.mounts.some(({ source }) => source === move.from) === true;
  if (found !== undefined && isSame) return found;
  throw new AppError(
    'conflict',
    `Cannot move ${quote(move.from)}: ${quote(move.containerName)} has changed meanwhile`,
    {
      hint: 'Audit again.',
    },
  );
}

/**
 * A file that was changed, or variables that were set only when the container was made, would change more of
 * the app than its mount.
 */
async function refuseOtherChanges(
  { compose }: MoveMeans,
  move: DataMove,
  { labels, name }: Container,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (move.edit === undefined) return;
  const made = labels['com.docker.compose.config-hash'];
  if (made === (await compose.hash(move, signal))) return;
  throw new AppError(
    'conflict',
    `Cannot move ${quote(move.from)}: to Compose, ${quote(move.service)} is not what ${quote(name)} was made from`,
    {
      hint: 'Its Compose file, variables or Compose itself have changed since. Run "docker compose up -d" and audit again, or follow the steps of docs/guides/audit.md by hand.',
    },
  );
}

async function save(
  { backUp }: MoveMeans,
  { from }: DataMove,
  signal: AbortSignal | undefined,
): Promise<string> {
  const report = await backUp([from], signal);
  const outcome = report.outcomes.find(({ name }) => name === from);
  if (outcome?.outcome === 'good' && outcome.snapshot !== undefined) return outcome.snapshot.id;
  throw new AppError('failed', `Cannot move ${quote(from)}: it could not be saved first`, {
    detail: outcome?.error === undefined ? report.skipped[0]?.reason : errorInWords(outcome.error),
    cause: outcome?.error,
  });
}

function refusePaused(unstoppable: readonly string[], { from }: DataMove): void {
  if (unstoppable.length === 0) return;
  throw new AppError(
    'in-use',
    `Cannot move ${quote(from)}: ${unstoppable.map(quote).join(', ')} cannot be stopped`,
    {
      hint: 'Stop it by hand, and try again.',
    },
  );
}

/** The container, while nothing runs on its data: one that another program has started, or made anew, would write. */
async function findStopped(
  containers: Containers,
  move: DataMove,
  signal: AbortSignal | undefined,
): Promise<Container> {
  const volumes = [move.from, move.to];
  const users = (await containers.list({ signal })).filter(({ mounts }) =>
    mounts.some(({ source }) => source !== undefined && volumes.includes(source)),
  );
  const active = users.find(isUp);
  const same = users.find(({ id }) => id === move.containerId);
  if (active === undefined && same !== undefined) return same;
  throw usedMeanwhile(move, active?.name ?? move.containerName);
}

function usedMeanwhile({ from, to }: DataMove, name: string): AppError {
  return new AppError(
    'conflict',
    `Cannot move ${quote(from)}: ${quote(name)} was started or replaced meanwhile`,
    { hint: `Audit again. Empty ${quote(to)} before, if it holds a copy by now.` },
  );
}

/** Removes empty folders only: any data in the named volume makes the copy refuse. */
async function removeLeftover(
  host: Host,
  { to, leftover }: DataMove,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (leftover.length === 0) return;
  await using data = await host.openData(to, { write: true, signal });
  if (data.way !== 'direct') return;
  using root = openTrusted(data.root);
  for (let depth = leftover.length - 1; depth >= 0; depth--) {
    try {
      using parent = root.openBelow(leftover.slice(0, depth).map(fromText));
      removeDirectoryAt(parent.fd, fromText(leftover[depth] ?? ''));
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      // Not empty, or not there: then the copy says what is in its way.
      return;
    }
  }
}

/** True when the change is taken back, false when another program has written to the file since. */
type UndoEdit = () => Promise<boolean>;

/** Changes one line of a file that is as it was planned; returns what takes the change back. */
async function changeLine({ file, line, before, after }: LineEdit): Promise<UndoEdit> {
  const real = await realpath(file);
  const content = (await readSmallFile(real)) ?? '';
  const lines = content.split('\n');
  if (lines[line - 1] !== before)
    throw new AppError('conflict', `Cannot change ${quote(file)}: line ${line} is another one by now`, {
      hint: 'Audit again.',
    });
  const changed = lines.with(line - 1, after).join('\n');
  await replace(real, changed);
  return async () => {
    // What another program has written since is not ours to take back.
    if ((await readSmallFile(real)) !== changed) return false;
    await replace(real, content);
    return true;
  };
}

async function replace(file: string, content: string): Promise<void> {
  try {
    await writeDurably(file, content, { like: await stat(file) });
  } catch (error) {
    throw knownError(error, `Cannot change ${quote(file)}`);
  }
}

interface Failure {
  readonly error: unknown;
  readonly undoEdit: UndoEdit | undefined;
}

/**
 * The old container still has its volume, so it can go on. Once it is gone, another one of the old file would
 * begin with an empty volume: then the new file stays.
 */
async function takeBack(
  containers: Containers,
  move: DataMove,
  { error, undoEdit }: Failure,
): Promise<AppError> {
  const old = await containers
    .find(move.containerId)
    .catch((failure: unknown) => (isAppError(failure) ? 'unknown' : undefined));
  const why = errorInWords(error);
  if (old === undefined)
    return new AppError('failed', `${quote(move.service)} was not started on ${quote(move.to)}: ${why}`, {
      hint: `Its data is in ${quote(move.to)}, the Compose file names it, and ${quote(move.from)} has it too: mend the cause, then run "docker compose up -d ${move.service}".`,
      cause: error,
    });
  const isBack = (await undoEdit?.().catch(() => false)) === true;
  const now =
    old === 'unknown' ? 'Whether it runs is not known: the engine does not answer' : 'It runs on as before';
  return new AppError('failed', `Cannot make ${quote(move.service)} anew: ${why}`, {
    hint: isBack
      ? `${now}. ${quote(move.to)} holds a copy by now: empty it before you try again.`
      : `${now}. ${quote(move.to)} holds a copy that gets old. The next "docker compose up" takes that: ${insteadOfCopy(move)} first.`,
    cause: error,
  });
}

function insteadOfCopy({ to, edit }: DataMove): string {
  if (edit === undefined) return `empty ${quote(to)}, and try again`;
  return `change line ${edit.line} of ${quote(edit.file)} back to ${quote(edit.before.trim())}`;
}

const upWithinMs = 120_000;

async function untilUp(
  containers: Containers,
  move: DataMove,
  signal: AbortSignal | undefined,
): Promise<string> {
  const deadline = performance.now() + upWithinMs;
  for (;;) {
    const all = await containers.list().catch((error: unknown) => {
      if (!isAppError(error, 'unavailable')) throw error;
      return [];
    });
    // The old one mounts the volume as well.
    const now = all.find(
      ({ id, stack, service, mounts }) =>
        id !== move.containerId &&
        stack === move.stack &&
        service === move.service &&
        mounts.some(({ source }) => source === move.to),
    );
    if (now?.state === 'running' && (now.health === 'healthy' || now.health === 'none')) return now.name;
    // Whatever ends the wait: the data has been moved, and that is said.
    if (performance.now() > deadline || signal?.aborted === true)
      throw new AppError(
        'partial',
        `The data is in ${quote(move.to)}, and ${quote(move.service)} is not healthy on it yet`,
        {
          hint: `Look at "docker compose logs ${move.service}". ${quote(move.from)} still has all of it.`,
        },
      );
    await sleep(250, undefined, { signal }).catch(() => undefined);
  }
}
