import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PrivateEngine } from '../docker/private-engine.ts';

const run = promisify(execFile);

/** A Compose stack in a folder of its own. */
export interface Stack {
  readonly name: string;
  readonly folder: string;
  /** Runs `docker compose` on it; returns its stdout and stderr. */
  compose(...args: string[]): Promise<{ readonly stdout: string; readonly stderr: string }>;
  /** Runs a command in a service's container and returns its output. */
  exec(service: string, ...command: string[]): Promise<string>;
}

/** Writes a stack's files, and starts nothing. */
export async function makeStack(
  engine: PrivateEngine,
  { name, files }: { readonly name: string; readonly files: Readonly<Record<string, string>> },
): Promise<Stack> {
  const folder = join(engine.folder, name);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  const compose: Stack['compose'] = async (...args) =>
    await run('docker-compose', ['--ansi', 'never', '--progress', 'plain', ...args], {
      cwd: folder,
      env: engine.env,
      maxBuffer: 64 << 20,
    });
  return {
    name,
    folder,
    compose,
    exec: async (service, ...command) => (await compose('exec', '-T', service, ...command)).stdout.trimEnd(),
  };
}
