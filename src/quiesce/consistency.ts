import type { ConsistencyMode } from '../model/consistency.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Consistency } from '../model/snapshot.ts';

/** What this volume supports. */
export interface Situation {
  /** For messages. */
  readonly name: string;
  readonly mode: ConsistencyMode;
  /** How many running containers can write to it. */
  readonly writers: number;
  /** A stream can be read only once. */
  readonly way: 'direct' | 'stream';
  /** True where the file system clones files instantly. */
  readonly canClone: boolean;
}

/** How the data of one volume is kept still while it is read. */
export interface QuiescePlan {
  readonly consistency: Consistency;
  /** What is done to the containers; undefined for nothing. */
  readonly how: 'pause' | 'stop' | undefined;
  readonly liveFirst: boolean;
  readonly clones: boolean;
  /** For people. */
  readonly note: string | undefined;
}

/** Plans the best way available to keep data still; pure. `unsupported` for a mode that is not available. */
export function planConsistency({ name, mode, writers, way, canClone }: Situation): QuiescePlan {
  const plan = { how: undefined, liveFirst: false, clones: false, note: undefined };
  if (mode === 'freeze' && !canClone) {
    const why =
      way === 'stream' ? 'its data is read through the engine' : 'its file system cannot clone files';
    throw new AppError('unsupported', `Cannot freeze ${quote(name)}: ${why}`, {
      hint: `Use ${way === 'stream' ? '"pause" or "stop"' : '"two-pass"'}, or "auto", which takes the best that there is.`,
    });
  }
  if (mode === 'two-pass' && way === 'stream') {
    throw new AppError(
      'unsupported',
      `Cannot save ${quote(name)} in two passes: its data is read through the engine`,
      {
        hint: 'Use "pause" or "stop", or "auto", which takes the best that there is.',
      },
    );
  }
  if (writers === 0) return { ...plan, consistency: 'cold' };
  switch (mode) {
    case 'live':
      return { ...plan, consistency: 'live' };
    case 'stop':
      // Gone through in use first, it stops for as long as the second pass takes.
      return { ...plan, consistency: 'stop', how: 'stop', liveFirst: way === 'direct', clones: canClone };
    case 'pause':
      return { ...plan, consistency: 'pause', how: 'pause' };
    case 'two-pass':
      return { ...plan, consistency: 'two-pass', how: 'pause', liveFirst: true };
    case 'freeze':
    case 'auto': {
      if (way === 'stream') {
        const note = `${quote(name)} can be read through the engine only: what writes to it is paused for as long as that takes.`;
        return { ...plan, consistency: 'pause', how: 'pause', note };
      }
      if (canClone) return { ...plan, consistency: 'freeze', how: 'pause', liveFirst: true, clones: true };
      return { ...plan, consistency: 'two-pass', how: 'pause', liveFirst: true };
    }
  }
}

/** Volumes of one still moment get the best way that is available to all of them; pure. */
export function planTogether(situations: readonly Situation[]): QuiescePlan {
  const active = situations.filter(({ writers }) => writers > 0);
  const plans = situations.map(planConsistency);
  const [only] = plans;
  if (only === undefined) throw new AppError('usage', 'There is nothing to keep still');
  if (active.length === 0 || situations.length === 1) return only;
  const busy = active.map(planConsistency);
  const weakest = [...busy].sort((a, b) => rank(a) - rank(b))[0] ?? only;
  return {
    ...weakest,
    liveFirst: busy.every(({ liveFirst }) => liveFirst),
    clones: busy.some(({ clones }) => clones),
    note: busy.find(({ note }) => note !== undefined)?.note,
  };
}

const usualMaxStillMs = 1000;
const usualTries = 3;

/** The limits that one volume's settings give; undefined is not set. */
export interface SaidBound {
  readonly maxStillMs: number | undefined;
  readonly stillTries: number | undefined;
}

export interface QuiesceBound {
  /** How long containers may be still for reading; undefined for no limit. */
  readonly maxStillMs: number | undefined;
  readonly tries: number;
}

/**
 * How long containers may be still for volumes of one moment, and how often; pure. The shortest limit that is
 * set applies. Without one, only what is cheap to repeat is limited: not a full read, nor a stop.
 */
export function planBound(
  said: readonly SaidBound[],
  { plan, stops }: { readonly plan: Pick<QuiescePlan, 'liveFirst'>; readonly stops: boolean },
): QuiesceBound {
  const times = said.flatMap(({ maxStillMs }) => maxStillMs ?? []);
  const tries = said.flatMap(({ stillTries }) => stillTries ?? []);
  const usual = plan.liveFirst && !stops ? usualMaxStillMs : Infinity;
  const maxStillMs = times.length > 0 ? Math.min(...times) : usual;
  return {
    maxStillMs: Number.isFinite(maxStillMs) ? maxStillMs : undefined,
    tries: tries.length > 0 ? Math.max(...tries) : stops ? 1 : usualTries,
  };
}

function rank({ consistency }: QuiescePlan): number {
  return { live: 0, pause: 1, 'two-pass': 2, freeze: 3, stop: 4, cold: 5 }[consistency];
}
