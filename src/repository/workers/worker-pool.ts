import { AppError, errnoOf, type ErrorCode, errorMessage } from '../../model/errors.ts';
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Worker, type Transferable } from 'node:worker_threads';

/** What the main thread sends to a worker. */
export type ToWorker<Task, Notice> =
  | { readonly kind: 'task'; readonly number: number; readonly task: Task }
  | { readonly kind: 'notice'; readonly notice: Notice }
  /** No task any more: end when the one under way is done. */
  | { readonly kind: 'end' };

/** What a worker sends back. Events belong to no task; `interim` is news of a task that goes on. */
export type FromWorker<Result, Interim, Event> =
  | { readonly kind: 'done'; readonly number: number; readonly result: Result }
  | { readonly kind: 'failed'; readonly number: number; readonly error: PlainError }
  | { readonly kind: 'interim'; readonly number: number; readonly interim: Interim }
  | { readonly kind: 'event'; readonly event: Event };

/** An error as it crosses between threads. */
export interface PlainError {
  readonly code: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly isAppError: boolean;
}

export function toPlainError(error: unknown): PlainError {
  if (error instanceof AppError) {
    return {
      code: error.code,
      message: error.message,
      detail: error.detail,
      hint: error.hint,
      isAppError: true,
    };
  }
  const message = errorMessage(error);
  return { code: errnoOf(error) ?? 'failed', message, isAppError: false };
}

export function fromPlainError(plain: PlainError): Error {
  if (plain.isAppError) {
    return new AppError(plain.code as ErrorCode, plain.message, { detail: plain.detail, hint: plain.hint });
  }
  return Object.assign(new Error(plain.message), { code: plain.code });
}

export interface WorkerPoolOptions<Event> {
  /** The module that runs in each worker. */
  readonly module: URL;
  readonly workers: number;
  readonly workerData: unknown;
  readonly onEvent?: (event: Event) => void;
  /** How long a worker may take to end by itself; 5 seconds unless given. */
  readonly endWithinMs?: number;
}

export interface RunOptions<Interim> {
  /** Always the same worker. */
  readonly pinTo?: number;
  readonly transfer?: readonly Transferable[];
  readonly onInterim?: (interim: Interim) => void;
}

interface Job<Task, Result, Interim> {
  readonly number: number;
  readonly task: Task;
  readonly options: RunOptions<Interim>;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

interface Member<Task, Result, Interim> {
  /** Started with its first task: work that turns out to be small pays for what it uses. */
  worker: Worker | undefined;
  readonly running: Map<number, Job<Task, Result, Interim>>;
  readonly pinned: Job<Task, Result, Interim>[];
}

/** A small nursery: workers make little garbage, and a large one stays mapped. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 };

/**
 * Node strips the types of sources in WebAssembly that calls back into JavaScript. V8 13.6 crashes now and then when a
 * thread compiles such a call anew (`Runtime_TierUpWasmToJSWrapper`) while another thread ends: it never gets to that.
 */
if (import.meta.url.endsWith('.ts')) setFlagsFromString(`--wasm-wrapper-tiering-budget=${2 ** 31 - 1}`);

/** A worker gets its next task before it has finished the one before, so that it never waits for the main thread. */
const tasksAhead = 2;

/** Worker threads that take tasks in order. A worker that dies fails everything that waits. */
export class WorkerPool<
  Task,
  Result,
  Interim = never,
  Event = never,
  Notice = never,
> implements AsyncDisposable {
  readonly #members: Member<Task, Result, Interim>[] = [];
  readonly #queue: Job<Task, Result, Interim>[] = [];
  readonly #options: WorkerPoolOptions<Event>;
  readonly #notices: Notice[] = [];
  #nextNumber = 0;
  #failure: Error | undefined;
  #closed = false;

  constructor(options: WorkerPoolOptions<Event>) {
    this.#options = options;
    for (let i = 0; i < options.workers; i++) {
      this.#members.push({ worker: undefined, running: new Map(), pinned: [] });
    }
  }

  get size(): number {
    return this.#members.length;
  }

  /** The numbers of the workers that have been given a task. */
  get started(): number[] {
    return this.#members.flatMap(({ worker }, i) => (worker ? [i] : []));
  }

  /** Tasks that are waiting or running. */
  get load(): number {
    return this.#members.reduce(
      (sum, { running, pinned }) => sum + running.size + pinned.length,
      this.#queue.length,
    );
  }

  run(task: Task, options: RunOptions<Interim> = {}): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const job = { number: this.#nextNumber++, task, options, resolve, reject };
      const member = options.pinTo === undefined ? undefined : this.#members[options.pinTo % this.size];
      (member?.pinned ?? this.#queue).push(job);
      this.#dispatch();
    });
  }

  /** Starts all workers before there is a task: they load their code while others prepare the first ones. */
  warm(): void {
    for (const member of this.#members) member.worker ??= this.#start(member);
  }

  /** Tells all workers something, before any task that is given from now on. */
  notify(notice: Notice): void {
    this.#notices.push(notice);
    for (const { worker } of this.#members) worker?.postMessage(noticeMessage<Task, Notice>(notice));
  }

  /**
   * Lets every worker end by itself after the task that it is at: a thread that is torn down in the middle of a call
   * into a native module takes the process with it. One that does not end in time is terminated all the same.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#fail(new AppError('cancelled', 'The work was stopped'));
    await Promise.all(
      this.#members.map(async ({ worker }) => worker && (await endWorker(worker, this.#options.endWithinMs))),
    );
  }

  #start(member: Member<Task, Result, Interim>): Worker {
    const { module, workerData } = this.#options;
    const worker = new Worker(module, { workerData, resourceLimits, env: workerEnvironment() });
    worker.on('message', (message: FromWorker<Result, Interim, Event>) => this.#receive(member, message));
    worker.on('error', (error: Error) => this.#fail(brokenWorker(error)));
    worker.on('exit', () => {
      if (!this.#closed) this.#fail(new AppError('failed', 'A worker thread ended unexpectedly'));
    });
    for (const notice of this.#notices) worker.postMessage(noticeMessage<Task, Notice>(notice));
    return worker;
  }

  #receive(member: Member<Task, Result, Interim>, message: FromWorker<Result, Interim, Event>): void {
    if (message.kind === 'event') return this.#options.onEvent?.(message.event);
    const job = member.running.get(message.number);
    if (!job) return;
    if (message.kind === 'interim') return job.options.onInterim?.(message.interim);
    member.running.delete(message.number);
    this.#dispatch();
    if (message.kind === 'done') job.resolve(message.result);
    else job.reject(fromPlainError(message.error));
  }

  #dispatch(): void {
    for (let depth = 1; depth <= tasksAhead; depth++) {
      for (const member of this.#members) {
        if (member.running.size >= depth) continue;
        const job = member.pinned.shift() ?? this.#queue.shift();
        if (!job) continue;
        member.running.set(job.number, job);
        this.#send(member, job);
      }
    }
  }

  #send(member: Member<Task, Result, Interim>, job: Job<Task, Result, Interim>): void {
    const message: ToWorker<Task, Notice> = { kind: 'task', number: job.number, task: job.task };
    try {
      member.worker ??= this.#start(member);
      member.worker.postMessage(message, [...(job.options.transfer ?? [])]);
    } catch (error) {
      // The caller that happens to be served at this moment must not hear of another's task that cannot be sent.
      member.running.delete(job.number);
      job.reject(brokenWorker(error));
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { running, pinned } of this.#members) {
      for (const job of [...running.values(), ...pinned.splice(0)]) job.reject(this.#failure);
      running.clear();
    }
    for (const job of this.#queue.splice(0)) job.reject(this.#failure);
  }
}

function noticeMessage<Task, Notice>(notice: Notice): ToWorker<Task, Notice> {
  return { kind: 'notice', notice };
}

function brokenWorker(cause: unknown): AppError {
  const reason = errorMessage(cause);
  return new AppError('failed', `A worker thread failed: ${reason}`, { cause });
}

/** A worker takes the compiled code from where this thread puts it; nothing but the environment tells it where. */
function workerEnvironment(): NodeJS.ProcessEnv {
  const directory = getCompileCacheDir();
  return directory === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(directory) };
}

async function endWorker(worker: Worker, endWithinMs = 5000): Promise<void> {
  if (worker.threadId === -1) return;
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  worker.once('exit', () => resolve());
  worker.postMessage({ kind: 'end' });
  const timer = setTimeout(resolve, endWithinMs);
  await ended;
  clearTimeout(timer);
  await worker.terminate();
}
