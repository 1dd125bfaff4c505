import { AppError, errorMessage } from '../../model/errors.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { watchSilence } from '../../lib/silence.ts';
import { quote } from '../../model/quote.ts';
import { type MariadbClient, sqlRequest } from './mariadb-client.ts';
import type { Hold } from './preset.ts';
import { asExec, lastLines } from './run-client.ts';

/** Writers queue behind a waiting lock, so a snapshot without the lock is better than a long wait. */
const lockWaitSeconds = 5;
const answerMs = (lockWaitSeconds + 15) * 1000;

/**
 * One client that keeps its session, and with it the lock: no table changes, no commit happens. What ends the
 * session (a dead client, a dead Holdfast, an engine that is gone) ends the lock.
 */
export async function holdMariadb(client: MariadbClient): Promise<Hold> {
  const { server } = client;
  const session = new Session();
  const request = sqlRequest(client.program, client.login, {
    text: session.lines,
    args: ['--unbuffered', '--skip-reconnect'],
  });
  const run = await server.containers.exec(server.container.id, asExec(request), { signal: server.signal });
  session.listen(run);
  const failed = (why: string, detail?: string): AppError =>
    new AppError('failed', `Cannot hold MariaDB in ${quote(server.container.name)} still: ${why}`, {
      detail,
    });
  const { take, give, name } = lockOf(client);
  try {
    if (!(await session.ask(take, answerMs))) throw failed('the lock was not given', session.reason());
  } catch (error) {
    session.end();
    throw error;
  }
  return {
    evidence: `${name} in "${server.container.name}"`,
    grade: 'app',
    // InnoDB writes pages all the time.
    gradeLive: 'torn',
    async assertHeld() {
      if (!(await session.ask('', answerMs))) throw failed('its session was lost', session.reason());
    },
    async [Symbol.asyncDispose]() {
      await session.ask(give, 5000).catch(() => false);
      session.end();
      // The session ends with its client, however that ends.
      await Promise.race([run.ended.catch(() => undefined), sleep(10_000, undefined, { ref: false })]);
    },
  };
}

interface Lock {
  readonly take: string;
  readonly give: string;
  readonly name: string;
}

function lockOf({ product, version }: MariadbClient): Lock {
  const [major = 0, minor = 0, patch = 0] = version;
  const wait = `SET SESSION lock_wait_timeout = ${lockWaitSeconds};`;
  const hasStages =
    product === 'mariadb' && (major > 10 || (major === 10 && (minor > 4 || (minor === 4 && patch >= 1))));
  if (!hasStages)
    return {
      take: `${wait} FLUSH TABLES WITH READ LOCK;`,
      give: 'UNLOCK TABLES;',
      name: 'FLUSH TABLES WITH READ LOCK',
    };
  const stages = ['START', 'FLUSH', 'BLOCK_DDL', 'BLOCK_COMMIT'].map((stage) => `BACKUP STAGE ${stage};`);
  return {
    take: `${wait} ${stages.join(' ')}`,
    give: 'BACKUP STAGE END;',
    name: 'BACKUP STAGE BLOCK_COMMIT',
  };
}

/** Sends SQL line by line, and reads the answers. */
class Session {
  readonly #waiting: string[] = [];
  readonly #answers = new Map<string, (isThere: boolean) => void>();
  #wake: (() => void) | undefined;
  #isOver = false;
  #number = 0;
  #stderr = '';

  /** The client's input. Ends with the session. */
  readonly lines: AsyncIterable<Uint8Array> = this.#lines();

  /** False when the session ended without an answer. */
  async ask(sql: string, withinMs: number): Promise<boolean> {
    if (this.#isOver) return false;
    const mark = `holdfast-${++this.#number}`;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#answers.set(mark, resolve);
    this.#waiting.push(`${sql} SELECT '${mark}';\n`);
    this.#wake?.();
    const clock = watchSilence(withinMs, () => resolve(false));
    try {
      return await promise;
    } finally {
      clock.stop();
      this.#answers.delete(mark);
    }
  }

  reason(): string | undefined {
    return lastLines(this.#stderr);
  }

  end(): void {
    this.#isOver = true;
    this.#wake?.();
  }

  listen(run: {
    readonly stdout: AsyncIterable<Uint8Array>;
    readonly ended: Promise<{ readonly stderr: string }>;
  }): void {
    const lost = (): void => {
      this.end();
      for (const resolve of this.#answers.values()) resolve(false);
    };
    void this.#read(run.stdout).catch(lost);
    run.ended.then(
      ({ stderr }) => {
        this.#stderr = stderr;
        lost();
      },
      (error: unknown) => {
        this.#stderr = errorMessage(error);
        lost();
      },
    );
  }

  async #read(stdout: AsyncIterable<Uint8Array>): Promise<void> {
    let text = '';
    for await (const chunk of stdout) {
      text += Buffer.from(chunk).toString('latin1');
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) this.#answers.get(line.trim())?.(true);
    }
  }

  async *#lines(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const line = this.#waiting.shift();
      if (line !== undefined) yield Buffer.from(line);
      else if (this.#isOver) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
