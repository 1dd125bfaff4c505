import { randomBytes } from 'node:crypto';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Container, ContainerMount, Containers, ExecRequest, ExecRun } from './containers.ts';
import type { CallOptions } from './host.ts';

type Call = 'list' | 'find' | 'stop' | 'start' | 'pause' | 'unpause' | 'exec' | 'scale' | 'remove';

export interface MemoryContainers extends Containers {
  /** What was asked for and has an effect, in order: `pause db`. */
  readonly calls: readonly string[];
  /** Runs unless its state says otherwise. */
  add(container: Partial<Container> & { readonly name: string }): Container;
  /** A Swarm service; its tasks are containers. `undefined` is a global one. */
  addService(name: string, replicas: number | undefined): void;
  get(name: string): Container;
  /** Changes a container behind everybody's back. */
  change(name: string, change: Partial<Container>): void;
  /** Makes a call fail, so many times, or for ever. */
  fail(call: Call, name: string, failure?: { readonly error?: AppError; readonly times?: number }): void;
  /** How it ends when it is stopped; well unless given. */
  endWith(name: string, exitCode: number): void;
  /** Called before each call has its effect; what it throws, the call throws. */
  onCall(listener: (call: Call, name: string) => void | Promise<void>): void;
  /** The engine starts anew: what was paused or running has ended, and runs again only where its policy says so. */
  restartEngine(): void;
  /** How a command ends in a container; undefined for one that does not until it is cancelled. */
  onExec(
    run: (
      name: string,
      request: ExecRequest,
    ) => { stdout?: string; stderr?: string; exitCode?: number } | undefined,
  ): void;
}

/** Containers in memory that behave as an engine's do. */
export function memoryContainers(): MemoryContainers {
  return new Memory();
}

interface Failure {
  readonly error: AppError;
  times: number;
}

class Memory implements MemoryContainers {
  readonly calls: string[] = [];
  readonly #containers = new Map<string, Container>();
  readonly #services = new Map<string, number | undefined>();
  readonly #failures = new Map<string, Failure>();
  readonly #stopped = new Set<string>();
  /** What the engine remembers. */
  readonly #asked = new Set<string>();
  readonly #exitCodes = new Map<string, number>();
  #listener: (call: Call, name: string) => void | Promise<void> = () => undefined;
  #exec: Parameters<MemoryContainers['onExec']>[0] = () => ({});
  #starts = 0;

  add(given: Partial<Container> & { readonly name: string }): Container {
    const id = given.id ?? randomBytes(32).toString('hex');
    const state = given.state ?? 'running';
    const imageLabels = 'imageLabels' in given ? given.imageLabels : {};
    const container: Container = { ...blank, id, startedAt: this.#time(), ...given, imageLabels, state };
    this.#containers.set(id, container);
    return container;
  }

  addService(name: string, replicas: number | undefined): void {
    this.#services.set(name, replicas);
    for (let number = 1; number <= (replicas ?? 1); number++) this.#addTask(name, number);
  }

  get(name: string): Container {
    return this.#need(name);
  }

  change(name: string, change: Partial<Container>): void {
    const container = this.#need(name);
    this.#containers.set(container.id, { ...container, ...change });
  }

  fail(call: Call, name: string, failure: { readonly error?: AppError; readonly times?: number } = {}): void {
    const error = failure.error ?? new AppError('failed', `Cannot ${call} ${quote(name)}`);
    this.#failures.set(`${call} ${name}`, { error, times: failure.times ?? Infinity });
  }

  endWith(name: string, exitCode: number): void {
    this.#exitCodes.set(name, exitCode);
  }

  onCall(listener: (call: Call, name: string) => void | Promise<void>): void {
    this.#listener = listener;
  }

  onExec(run: Parameters<MemoryContainers['onExec']>[0]): void {
    this.#exec = run;
  }

  restartEngine(): void {
    this.#asked.clear();
    for (const { name, state, restarts, id } of this.#containers.values()) {
      const wasUp = state === 'running' || state === 'paused' || state === 'restarting';
      if (restarts && (wasUp || !this.#stopped.has(id))) this.#run(name);
      else if (wasUp)
        this.change(name, { state: 'exited', exitCode: 137, pid: undefined, finishedAt: this.#time() });
    }
  }

  async list(): Promise<Container[]> {
    await this.#before('list', '*');
    return [...this.#containers.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  async find(idOrName: string): Promise<Container | undefined> {
    await this.#before('find', this.#lookUp(idOrName)?.name ?? idOrName);
    return this.#lookUp(idOrName);
  }

  async stop(id: string): Promise<void> {
    const { name, state, removesItself } = await this.#act('stop', id);
    if (state === 'exited' || state === 'created') return;
    this.#stopped.add(this.#need(id).id);
    this.#asked.add(this.#need(id).id);
    const exitCode = this.#exitCodes.get(name) ?? 0;
    this.change(name, { state: 'exited', exitCode, pid: undefined, finishedAt: this.#time() });
    if (removesItself === true) this.#containers.delete(this.#need(name).id);
  }

  async start(id: string): Promise<void> {
    const { name, state } = await this.#act('start', id);
    if (state === 'paused') throw new AppError('conflict', `Cannot start ${quote(name)}: it is paused`);
    if (state === 'running') return;
    this.#run(name);
  }

  async pause(id: string): Promise<void> {
    const { name, state } = await this.#act('pause', id);
    if (state === 'paused') return;
    if (state !== 'running') throw new AppError('conflict', `Cannot pause ${quote(name)}: it does not run`);
    this.change(name, { state: 'paused' });
  }

  async unpause(id: string): Promise<boolean> {
    const { name, state } = await this.#act('unpause', id);
    if (state === 'exited' || state === 'created')
      throw new AppError('conflict', `Cannot unpause ${quote(name)}: it does not run`);
    if (state === 'paused') this.change(name, { state: 'running' });
    return state === 'paused';
  }

  async wasAskedToEnd(id: string): Promise<boolean> {
    return this.#asked.has(id);
  }

  async clockAheadMs(): Promise<number> {
    return 0;
  }

  async exec(id: string, request: ExecRequest, { signal }: CallOptions = {}): Promise<ExecRun> {
    const { name, state } = await this.#act('exec', id);
    if (state !== 'running')
      throw new AppError('conflict', `Cannot run a command in ${quote(name)}: it does not run`);
    for await (const _ of request.stdin ?? []);
    const run = this.#exec(name, request);
    if (run === undefined) {
      const ended = Promise.withResolvers<never>();
      signal?.addEventListener('abort', () => ended.reject(signal.reason as Error));
      return { stdout: bytesOf(''), ended: ended.promise };
    }
    const { stdout = '', stderr = '', exitCode = 0 } = run;
    return { stdout: bytesOf(stdout), ended: Promise.resolve({ exitCode, stderr }) };
  }

  async serviceReplicas(service: string): Promise<number | undefined> {
    if (!this.#services.has(service))
      throw new AppError('not-found', `There is no service ${quote(service)}`);
    return this.#services.get(service);
  }

  async runningTasks(service: string): Promise<number> {
    return [...this.#containers.values()].filter(
      ({ swarmService, state }) => swarmService === service && state === 'running',
    ).length;
  }

  async wereTasksKilled(service: string): Promise<boolean> {
    return this.#exitCodes.get(service) === 137;
  }

  async scaleService(
    service: string,
    replicas: number,
    { atLeast = replicas }: { readonly atLeast?: number | undefined } = {},
  ): Promise<void> {
    await this.#before('scale', service);
    const enough = atLeast < replicas ? `, at least ${atLeast}` : '';
    this.calls.push(`scale ${service} ${replicas}${enough}`);
    this.#services.set(service, replicas);
    for (const { id, swarmService } of this.#containers.values())
      if (swarmService === service) this.#containers.delete(id);
    for (let number = 1; number <= replicas; number++) this.#addTask(service, number);
  }

  async startTrial(): Promise<Container> {
    throw new AppError('unsupported', 'Containers in memory start no trials');
  }

  async removeTrial(): Promise<void> {}

  async logs(): Promise<string> {
    return '';
  }

  async remove(id: string): Promise<void> {
    const { id: whole } = await this.#act('remove', id);
    this.#containers.delete(whole);
  }

  #addTask(service: string, number: number): void {
    const id = randomBytes(32).toString('hex');
    this.add({ id, name: `${service}.${number}.${id.slice(0, 8)}`, swarmService: service, number });
  }

  #run(name: string): void {
    const { id, health } = this.#need(name);
    this.#stopped.delete(id);
    this.#asked.delete(id);
    const startedAt = this.#time();
    this.change(name, {
      state: 'running',
      exitCode: undefined,
      startedAt,
      pid: 1000 + this.#starts,
      health: health === 'none' ? 'none' : 'healthy',
    });
  }

  #time(): string {
    return new Date(Date.UTC(2026, 0, 1) + ++this.#starts * 1000).toISOString();
  }

  async #act(call: Call, idOrName: string): Promise<Container> {
    const { name } = this.#need(idOrName);
    await this.#before(call, name);
    this.calls.push(`${call} ${name}`);
    return this.#need(idOrName);
  }

  async #before(call: Call, name: string): Promise<void> {
    await this.#listener(call, name);
    const failure = this.#failures.get(`${call} ${name}`);
    if (failure === undefined || failure.times-- <= 0) return;
    throw failure.error;
  }

  #lookUp(idOrName: string): Container | undefined {
    return (
      this.#containers.get(idOrName) ?? [...this.#containers.values()].find(({ name }) => name === idOrName)
    );
  }

  #need(idOrName: string): Container {
    const found = this.#lookUp(idOrName);
    if (found === undefined) throw new AppError('not-found', `There is no container ${quote(idOrName)}`);
    return found;
  }
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  if (text !== '') yield Buffer.from(text);
}

const noMounts: readonly ContainerMount[] = [];

const blank = {
  name: '',
  stack: undefined,
  service: undefined,
  number: 1,
  swarmService: undefined,
  image: 'busybox',
  imageId: 'sha256:0',
  health: 'none',
  exitCode: undefined,
  restarts: false,
  dependsOn: [],
  labels: {},
  environment: {},
  command: [],
  entrypoint: [],
  user: '',
  mounts: noMounts,
  pid: 1000,
  stopTimeoutMs: 10_000,
} as const;
