import { AppError, errnoOf, type ErrorCode, errorMessage } from '../../model/errors.ts';
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Worker, type Transferable } from 'node:worker_threads';

/** What the main thread sends to a worker. */
export type ToWorker<Task, Notice> =
  | { readonly kind: 'task'; readonly number: number; readonly task: Task }
  | { readonly kind: 'notice'; readonly notice: Notice }
  /** No more tasks: end after the current one. */
  | { readonly kind: 'end' };

/** What a worker sends back. Events belong to no task; `interim` is a partial result of a running task. */
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
  /** How long a worker may take to end by itself, in milliseconds; 5 seconds by default. */
  readonly endWithinMs?: number;
}

export interface RunOptions<Interim> {
  /** Pins the task to the worker of this number. */
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
  /** Started with its first task, so that small work starts few workers. */
  worker: Worker | undefined;
  readonly running: Map<number, Job<Task, Result, Interim>>;
  readonly pinned: Job<Task, Result, Interim>[];
}

/** A small nursery: workers make little garbage, and a large one stays mapped. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 };

/**
 * Node strips the types of sources in WebAssembly that calls back into JavaScript. V8 13.6 sometimes crashes
 * when a thread compiles such a call again (`Runtime_TierUpWasmToJSWrapper`) while another thread ends; this
 * setting keeps it from compiling them.
 */
if (import.meta.url.endsWith('.ts')) setFlagsFromString(`--wasm-wrapper-tiering-budget=${2 ** 31 - 1}`);

/** A worker gets its next task before the current one ends, so that it never waits for the main thread. */
const tasksAhead = 2;

/** Worker threads that take tasks in order. When a worker dies, all waiting tasks fail. */
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

  /** The numbers of the workers that have had a task. */
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

  /** Starts all workers before there is a task, so that they load their code meanwhile. */
  warm(): void {
    for (const member of this.#members) member.worker ??= this.#start(member);
  }

  /** Sends a notice to all workers, ahead of any later task. */
  notify(notice: Notice): void {
    this.#notices.push(notice);
    for (const { worker } of this.#members) worker?.postMessage(noticeMessage<Task, Notice>(notice));
  }

  /**
   * Lets every worker end by itself after its current task: terminating a thread inside a call into a native
   * module kills the process. A worker that does not end in time is terminated.
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
      // The caller being served now must not get the error of another caller's task that cannot be sent.
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

/**
 * A worker reads the compiled code from this thread's cache; only the environment can tell it where that is.
 */
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
