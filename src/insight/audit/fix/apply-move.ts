import { setTimeout as sleep } from 'node:timers/promises';
import type { BackupReport } from '../../../backup/index.ts';
import type { Container, Containers } from '../../../hosts/containers.ts';
import type { Host } from '../../../hosts/host.ts';
import { errorInWords } from '../../../lib/known-error.ts';
import { openTrusted } from '../../../lib/open-trusted.ts';
import { removeDirectoryAt } from '../../../lib/posix-at.ts';
import { fromText } from '../../../model/byte-string.ts';
import { AppError, errnoOf, isAppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import { isUp, makeStill } from '../../../quiesce/index.ts';
import type { HostVolumes } from '../../../volumes/index.ts';
import { readSmallFile } from '../read-small-file.ts';
import { changeLine, rehearseChange, type UndoEdit, withLine } from './change-line.ts';
import type { ComposeProgram, PreparedUp } from './compose-program.ts';
import type { DataMove } from './plan-moves.ts';
import { refuseWithoutRoom } from './room-for-copy.ts';

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
  await stillTheSame(means.compose, { containers, move, signal });
  const snapshotId = await save(means, move, signal);
  await refuseWithoutRoom(host, move, signal);
  // To save it may have taken hours.
  const container = await stillTheSame(means.compose, { containers, move, signal });
  // What would fail for want of room or rights does so before the stop.
  using prepared = means.compose.prepareUp(move);
  const volumes = await means.volumes();
  if (move.edit !== undefined) await rehearseChange(move.edit);
  const reason = `move ${quote(move.from)} into ${quote(move.to)}`;
  const still = await makeStill(
    { host: () => Promise.resolve(host), stateDir: means.stateDir },
    { containers: [container], how: 'stop', reason },
    { signal },
  );
  await using opened = new AsyncDisposableStack();
  // Starts the old container again, unless Compose has replaced it.
  opened.use(still);
  refusePaused(
    still.unstoppable.map(({ name }) => name),
    move,
  );
  const stopped = await findStopped(containers, move, signal);
  await removeLeftover(host, move, signal);
  const { problems } = await volumes.clone({ from: move.from, to: move.to }, { signal });
  const [problem] = problems;
  if (problem !== undefined)
    throw new AppError('partial', `Not all of ${quote(move.from)} could be copied into ${quote(move.to)}`, {
      detail: `${problem.path}: ${problem.message}`,
      hint: 'The container runs on as before. Empty the named volume before you try again.',
    });
  const { startedAt } = await findStopped(containers, move, signal);
  if (startedAt !== stopped.startedAt) throw usedMeanwhile(move, move.containerName);
  // So may the copy.
  await stillTheSame(means.compose, { containers, move, signal, hasCopy: true });
  // Started again after a kill, the old container would write where the next "up" does not look.
  await still.noteByHand(
    `its data is in ${quote(move.to)}, and ${quote(move.containerName)} stays stopped: run "docker compose up -d ${move.service}" in ${quote(move.directory)}`,
  );
  const failure = await makeAnew(prepared, { containers, move });
  if (failure?.isKnown === true) {
    // The container is started again or gone; where the note stays all the same, the recovery sees that.
    await still.noteByHand(undefined).catch(() => undefined);
    throw failure.error;
  }
  if (failure !== undefined) {
    // Started by the next command, the old container could write beside the one that Compose made.
    opened.move();
    await still.leave();
    throw failure.error;
  }
  const replaced = await untilUp(containers, move, signal);
  return { move, snapshotId, container: replaced };
}

interface MoveStep {
  readonly containers: Containers;
  readonly move: DataMove;
  readonly signal: AbortSignal | undefined;
}

/** Why there is no new container; unless that is known, file and old container are left as they are. */
interface Failure {
  readonly error: unknown;
  readonly isKnown: boolean;
}

async function makeAnew(
  prepared: PreparedUp,
  { containers, move }: Omit<MoveStep, 'signal'>,
): Promise<Failure | undefined> {
  let undoEdit: UndoEdit | undefined;
  try {
    undoEdit = move.edit && (await changeLine(move.edit));
  } catch (error) {
    return { error, isKnown: true };
  }
  try {
    await prepared.up();
    return undefined;
  } catch (error) {
    return await backOut(containers, move, { error, undoEdit });
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

/**
 * Between the plan and now the container may have been replaced. A file that was changed, variables that were set
 * only when the container was made, or a tag that leads to another image by now, would change more of the app than
 * its mount.
 */
async function stillTheSame(
  compose: ComposeProgram,
  { containers, move, signal, hasCopy = false }: MoveStep & { readonly hasCopy?: boolean },
): Promise<Container> {
  const container = await containers.find(move.containerId, { signal });
  const isSame = container?.mounts.some(({ source }) => source === move.from) === true;
  const emptied = hasCopy ? ` Empty ${quote(move.to)} before: it holds a copy by now.` : '';
  const refuse = (why: string, hint: string): AppError =>
    new AppError('conflict', `Cannot move ${quote(move.from)}: ${why}`, { hint: `${hint}${emptied}` });
  if (container === undefined || !isSame)
    throw refuse(`${quote(move.containerName)} has changed meanwhile`, 'Audit again.');
  const upAndAgain = `Run "docker compose up -d" and audit again, or follow the steps of docs/guides/audit.md by hand.`;
  if (container.labels['com.docker.compose.config-hash'] !== (await hashAsMade(compose, move, signal)))
    throw refuse(
      `to Compose, ${quote(move.service)} is not what ${quote(container.name)} was made from`,
      `Its Compose file, variables or Compose itself have changed since. ${upAndAgain}`,
    );
  const image = await containers.findImage(move.image, { signal });
  if (image?.id !== container.imageId)
    throw refuse(
      image === undefined
        ? `the image ${quote(move.image)} of ${quote(move.service)} is not here any more`
        : `${quote(move.image)} is another image by now than the one of ${quote(container.name)}`,
      image === undefined ? `Pull or build it. ${upAndAgain}` : upAndAgain,
    );
  return container;
}

/** The hash that Compose has given to the container, if nothing but the place of the mount has changed since. */
async function hashAsMade(
  compose: ComposeProgram,
  move: DataMove,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { older } = move;
  if (older === undefined) return await compose.hash(move, undefined, signal);
  const content = withLine((await readSmallFile(older.file)) ?? '', older);
  return await compose.hash(move, { file: older.file, content }, signal);
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

interface Refusal {
  readonly error: unknown;
  readonly undoEdit: UndoEdit | undefined;
}

/**
 * The old container still has its volume, so it can go on. Once it is gone, another one of the old file would
 * begin with an empty volume: then the new file stays. Where the engine does not answer, either may be so.
 */
async function backOut(
  containers: Containers,
  move: DataMove,
  { error, undoEdit }: Refusal,
): Promise<Failure> {
  const { service, from, to } = move;
  const why = errorInWords(error);
  const up = `"docker compose up -d ${service}"`;
  const old = await findPatiently(containers, move.containerId);
  if (old === 'unknown') {
    const message = `Whether Compose has made ${quote(service)} anew is not known, as the engine does not answer: ${why}`;
    const hint = `Its data is in ${quote(to)}, the Compose file names that, and ${quote(from)} has all of it too. When the engine answers, run ${up} in ${quote(move.directory)}; until then each command says so.`;
    return { error: new AppError('failed', message, { hint, cause: error }), isKnown: false };
  }
  if (old === undefined) {
    const hint = `Its data is in ${quote(to)}, the Compose file names it, and ${quote(from)} has it too: mend the cause, then run ${up}.`;
    const message = `${quote(service)} was not started on ${quote(to)}: ${why}`;
    return { error: new AppError('failed', message, { hint, cause: error }), isKnown: true };
  }
  const isBack = (await undoEdit?.().catch(() => false)) === true;
  const hint = isBack
    ? `It runs on as before. ${quote(to)} holds a copy by now: empty it before you try again.`
    : `It runs on as before. ${quote(to)} holds a copy that gets old. The next "docker compose up" takes that: ${insteadOfCopy(move)} first.`;
  const message = `Cannot make ${quote(service)} anew: ${why}`;
  return { error: new AppError('failed', message, { hint, cause: error }), isKnown: true };
}

const answerWithinMs = 30_000;

/** An engine that is started again answers soon. */
async function findPatiently(containers: Containers, id: string): Promise<Container | undefined | 'unknown'> {
  const deadline = performance.now() + answerWithinMs;
  for (;;) {
    try {
      return await containers.find(id);
    } catch (error) {
      if (!isAppError(error, 'unavailable') || performance.now() > deadline) return 'unknown';
      await sleep(500);
    }
  }
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
