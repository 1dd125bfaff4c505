import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { PrivateEngine } from '../docker/private-engine.ts';

/** Acknowledged writes: the highest number that the database has committed, and Redis's counter. */
export interface Acknowledged {
  readonly row: number;
  readonly count: number;
}

export interface WriteLoad {
  readonly acknowledged: Acknowledged;
  /** The longest wait of a writer for an answer, in milliseconds. */
  longestWait(): { readonly postgres: number; readonly redis: number };
  stop(): Promise<Acknowledged>;
}

/** Writes rows 1, 2, 3 … and counts in Redis, each after the previous answer, until it is stopped. */
export function startWriteLoad(
  engine: PrivateEngine,
  {
    postgres,
    redis,
    firstRow,
  }: { readonly postgres: string; readonly redis: string; readonly firstRow: number },
): WriteLoad {
  let next = firstRow;
  const rows = new Conversation(engine, {
    container: postgres,
    command: ['psql', '-U', 'app_user', 'app_db', '-qAt', '-v', 'ON_ERROR_STOP=1'],
    ask: () => `INSERT INTO ledger VALUES (${next++}, repeat(md5(random()::text), 20)) RETURNING id;\n`,
  });
  const counts = new Conversation(engine, {
    container: redis,
    command: ['redis-cli'],
    ask: () => 'INCR counter\n',
  });
  const acknowledged = (): Acknowledged => ({ row: rows.answer, count: counts.answer });
  return {
    get acknowledged() {
      return acknowledged();
    },
    longestWait: () => ({ postgres: rows.longestWaitMs, redis: counts.longestWaitMs }),
    async stop() {
      await Promise.all([rows.end(), counts.end()]);
      return acknowledged();
    },
  };
}

interface Partner {
  readonly container: string;
  readonly command: readonly string[];
  readonly ask: () => string;
}

/** A client that sends its next request as soon as it has an answer. */
class Conversation {
  answer = 0;
  longestWaitMs = 0;
  readonly #child: ChildProcess;
  readonly #partner: Partner;
  #askedAt = 0;
  #text = '';
  #isEnding = false;

  constructor(engine: PrivateEngine, partner: Partner) {
    this.#partner = partner;
    const args = ['exec', '-i', partner.container, ...partner.command];
    this.#child = spawn('docker', args, { env: engine.env, stdio: ['pipe', 'pipe', 'ignore'] });
    this.#child.stdin?.on('error', () => {});
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#take(chunk.toString()));
    this.#ask();
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 20_000);
    await ended;
    clearTimeout(timer);
  }

  #ask(): void {
    this.#askedAt = performance.now();
    this.#child.stdin?.write(this.#partner.ask());
  }

  #take(text: string): void {
    this.#text += text;
    const lines = this.#text.split('\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines.filter((one) => /^\d+$/.test(one))) {
      this.longestWaitMs = Math.max(this.longestWaitMs, performance.now() - this.#askedAt);
      this.answer = Number(line);
      if (this.#isEnding) this.#child.stdin?.end();
      else this.#ask();
    }
  }
}
