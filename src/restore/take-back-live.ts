import { setTimeout as sleep } from 'node:timers/promises';
import type { Container } from '../hosts/containers.ts';
import { errorInWords } from '../lib/known-error.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { type Live, namesOf } from './live-swap.ts';
import {
  findConsumers,
  isUp,
  makeStill,
  noteRefusal,
  putBack,
  type StillContainers,
} from '../quiesce/index.ts';
import { refusalOf } from './restore-journal.ts';

/** Everything back as it was. Gives the error to throw, which says what is not. */
export async function takeBackLive(
  live: Live,
  { still, error }: { readonly still: StillContainers; readonly error: unknown },
): Promise<unknown> {
  const { replacement } = live.swap;
  try {
    if (replacement.isSwapping) {
      await replacement.giveUp();
      await stopWithPatience(live);
      await replacement.takeBack();
    }
  } catch (second) {
    // What ran stays stopped: nothing may run on data that is half old and half new. The journals say what to do.
    replacement.leave();
    await leaveAll(live, still);
    return notTakenBack(live, error, second);
  }
  try {
    await replacement.makeRoom();
    await putBack(live.containers, live.levels, {});
    for (const other of live.others) await other.release();
    for (const id of live.unwritten) await live.containers.start(id);
    await still.release();
    return error;
  } catch (second) {
    // The data is back already; its journal knows what ran, whatever was started on the other data since.
    replacement.leave();
    await noteRefusal(refusalOf(live.parts.stateDir, replacement.id), second);
    await leaveAll(live, still, second);
    return notStarted(live, error, second);
  }
}

async function leaveAll({ others }: Live, still: StillContainers, why?: unknown): Promise<void> {
  for (const other of others) await other.leave(why);
  await still.leave(why);
}

const patienceMs = 60_000;
/** All that ran before is stopped meanwhile. */
const othersPatienceMs = 3000;

/** An engine that is being started anew answers again after a while. */
async function stopWithPatience(live: Live): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await stopAll(live);
    } catch (error) {
      if (!isAppError(error, 'unavailable') || performance.now() > deadline) throw error;
      await sleep(500);
    }
  }
}

/** The containers' journals are there: what is stopped here will run again. */
async function stopAll(live: Live): Promise<void> {
  const { containers, levels, parts, swap } = live;
  const ran = new Set(levels.flat().map(({ identity }) => identity.id));
  for (const step of levels.flat())
    if (step.how === 'scale') await containers.scaleService(step.identity.name, 0);
  const up = (await findConsumers(parts, swap.places, {})).filter(isUp);
  await stopOthers(
    live,
    up.filter(({ id, swarmService }) => !ran.has(id) && swarmService === undefined),
  );
  // In order: who has joined another is started after it again only when it is stopped before.
  for (const { how, identity } of levels.flat()) {
    const now = how === 'scale' ? undefined : await containers.find(identity.id);
    if (now !== undefined && isUp(now)) await containers.stop(identity.id, {});
  }
  // One that would only be paused, as it removes itself, holds on to the data too.
  for (const { id } of up) await containers.stop(id, {});
}

async function stopOthers(
  { parts, swap, others, unwritten }: Live,
  came: readonly Container[],
): Promise<void> {
  if (came.length === 0) return;
  const { reason, replacement } = swap;
  try {
    const restoreId = replacement.id;
    const about = { reason, restoreId, patienceMs: othersPatienceMs, stopsPaused: true };
    others.push(await makeStill(parts, { ...about, containers: came, how: 'stop' }, {}));
  } catch (error) {
    if (isAppError(error, 'unavailable')) throw error;
    // Whatever keeps them from being written down, a disk or somebody who has one of them: worse than a kill in the next
    // seconds is data that is half old and half new, with all that ran before stopped.
    for (const { id } of came) unwritten.add(id);
  }
}

function notTakenBack({ swap }: Live, error: unknown, second: unknown): AppError {
  return new AppError(
    'failed',
    `Cannot restore ${namesOf(swap)}, and could not bring back what was there yet`,
    {
      detail: `${errorInWords(error)}\n${errorInWords(second)}`,
      hint: 'Nothing is lost: it lies beside. When the cause is gone, "holdfast recover" brings it back and starts what ran.',
      cause: error,
    },
  );
}

function notStarted({ swap }: Live, error: unknown, second: unknown): AppError {
  const message = error instanceof Error ? error.message : String(error);
  const reasons = [isAppError(error) ? (error.detail ?? []) : [], errorInWords(second)].flat();
  return new AppError('failed', `${message}; the data of ${namesOf(swap)} is as it was`, {
    detail: [...new Set(reasons)].join('\n'),
    hint: 'Not everything that ran could be started again: "holdfast recover" tries again.',
    cause: error,
  });
}
