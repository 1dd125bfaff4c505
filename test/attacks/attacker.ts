import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The id of a user that does not exist on most machines. */
export const attackerUid = 64_321;

/** Compiles a program of this folder into another folder, and returns its path. */
export function compile(name: string, folder: string): string {
  const program = join(folder, name);
  execFileSync('gcc', ['-O2', '-o', program, join(import.meta.dirname, `${name}.c`)]);
  return program;
}

export interface Attacker {
  begin(): void;
  /** Ends it, and returns the numbers that it prints at its end, by name. */
  end(): Promise<Readonly<Record<string, number>>>;
}

export interface AttackOptions {
  readonly uid: number;
  /** Entered before the program drops to its user's rights. */
  readonly cwd: string;
}

/** Starts a program that attacks until it is ended. Returns when it has opened its target. */
export async function prepareAttack(
  program: string,
  args: readonly string[],
  { uid, cwd }: AttackOptions,
): Promise<Attacker> {
  const child = spawn(program, args, { uid, gid: uid, cwd, stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const lines: string[] = [];
  const ready = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    if (line === 'ready') ready.resolve();
  });
  closed.then(() => ready.reject(new Error(`"${program}" has ended before it began`)), ready.reject);
  await ready.promise;
  return {
    begin: () => void child.stdin.write('\n'),
    async end() {
      if (child.exitCode === null) child.kill('SIGTERM');
      // One that has not begun waits for a line, and for nothing else.
      child.stdin.end();
      await closed;
      return Object.fromEntries(
        lines.slice(1).map((line) => [line.split(' ')[0], Number(line.split(' ')[1])]),
      );
    },
  };
}
