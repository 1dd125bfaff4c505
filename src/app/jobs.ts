import { randomUUID } from 'node:crypto';
import { knownError } from '../lib/known-error.ts';
import { AppError, type ErrorCode } from '../model/errors.ts';
import type { Progress } from '../repository/index.ts';
import type { VolumeProgress } from '../volumes/index.ts';

/** A long work of a room, under way or ended. Plain data that can be sent as JSON. */
export interface Job {
  readonly id: string;
  /** `backup`, `restore`, `volume-clone` … */
  readonly kind: string;
  /** Names of volumes, paths, a stack, a policy. Empty for a whole repository, or for everything. */
  readonly subjects: readonly string[];
  /** RFC 3339. */
  readonly startedAt: string;
  /** Undefined while it is under way. RFC 3339. */
  readonly endedAt: string | undefined;
  readonly state: 'running' | JobOutcome;
  readonly progress: Progress | VolumeProgress | undefined;
  /** Remarks, oldest first; beyond a limit the oldest are dropped. */
  readonly log: readonly string[];
  readonly droppedLines: number;
  /** Of a job that threw. Failures of parts are in its report, which its caller has. */
  readonly error: JobError | undefined;
}

/** `partial`: its report has a part that failed. */
export type JobOutcome = 'good' | 'partial' | 'failed' | 'cancelled';

export interface JobError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
}

/**
 * What the rooms of an App are doing, and what they did last. In memory only: a new process starts with none.
 */
export interface Jobs {
  /** In order of their start, with the last hundred that ended. */
  list(): Job[];
  find(id: string): Job | undefined;
  /**
   * Asks a job to stop, as its caller's signal would; it ends after it has cleaned up. False when no such job
   * is under way.
   */
  cancel(id: string): boolean;
}

/** The options that all long works have in common. */
export interface WorkOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: never) => void) | undefined;
  readonly onNote?: ((message: string) => void) | undefined;
}

export interface JobRequest<T> extends Pick<Job, 'kind' | 'subjects'> {
  /** Default: good. */
  readonly outcome?: ((result: T) => JobOutcome) | undefined;
}

export interface JobRegistry extends Jobs {
  /**
   * Runs work as a job: it can be cancelled, and its progress and remarks reach its caller and the registry.
   */
  run<O extends WorkOptions, T>(
    request: JobRequest<T>,
    options: O | undefined,
    work: (options: O) => Promise<T>,
  ): Promise<T>;
}

const endedAtMost = 100;
const linesAtMost = 200;
const lineAtMost = 2000;

interface Registered {
  job: Job;
  readonly cancel: AbortController;
}

export function openJobs(now: () => number = Date.now): JobRegistry {
  const known = new Map<string, Registered>();
  const time = (): string => new Date(now()).toISOString();
  const dropOld = (): void => {
    const ended = [...known.values()].filter(({ job }) => job.state !== 'running');
    for (const { job } of ended.slice(0, -endedAtMost)) known.delete(job.id);
  };
  return {
    list: () => [...known.values()].map(({ job }) => job),
    find: (id) => known.get(id)?.job,
    cancel(id) {
      const found = known.get(id);
      if (found?.job.state !== 'running') return false;
      found.cancel.abort(new AppError('cancelled', 'Cancelled'));
      return true;
    },
    async run<O extends WorkOptions, T>(
      { kind, subjects, outcome }: JobRequest<T>,
      options: O | undefined,
      work: (options: O) => Promise<T>,
    ): Promise<T> {
      const entry = { job: begin(kind, subjects, time()), cancel: new AbortController() };
      known.set(entry.job.id, entry);
      const change = (changed: Partial<Job>): void => void (entry.job = { ...entry.job, ...changed });
      const { signal } = entry.cancel;
      const watched = {
        ...options,
        signal: options?.signal === undefined ? signal : AbortSignal.any([options.signal, signal]),
        onProgress(progress: NonNullable<Job['progress']>) {
          change({ progress });
          options?.onProgress?.(progress as never);
        },
        onNote(message: string) {
          change(withLine(entry.job, message));
          options?.onNote?.(message);
        },
      } as WorkOptions as O;
      try {
        const result = await work(watched);
        change({ state: outcome?.(result) ?? 'good' });
        return result;
      } catch (error) {
        const { code, message, detail, hint } = knownError(error);
        change({
          state: code === 'cancelled' ? 'cancelled' : code === 'partial' ? 'partial' : 'failed',
          error: { code, message, detail, hint },
        });
        throw error;
      } finally {
        change({ endedAt: time() });
        dropOld();
      }
    },
  };
}

function begin(kind: string, subjects: readonly string[], startedAt: string): Job {
  return {
    id: randomUUID(),
    kind,
    subjects: [...subjects],
    startedAt,
    endedAt: undefined,
    state: 'running',
    progress: undefined,
    log: [],
    droppedLines: 0,
    error: undefined,
  };
}

function withLine({ log, droppedLines }: Job, message: string): Pick<Job, 'log' | 'droppedLines'> {
  const lines = [...log, message.slice(0, lineAtMost)];
  const dropped = Math.max(0, lines.length - linesAtMost);
  return { log: lines.slice(dropped), droppedLines: droppedLines + dropped };
}
