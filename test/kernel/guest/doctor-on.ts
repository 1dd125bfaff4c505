import { execFileSync } from 'node:child_process';
import type { OnEngine } from '../../support/on-engine.ts';

export interface Found {
  readonly id: string;
  readonly subject: { readonly kind: string; readonly name: string };
  readonly message: string;
  readonly evidence: readonly string[];
  readonly remedy: string;
  readonly commands: readonly (readonly string[])[];
}

/** What the tests of the doctor do with an engine in a guest. */
export function doctorOn(on: OnEngine) {
  /** Without those of the machine's load, which is not the tests'. */
  async function findings(subject: string): Promise<readonly Found[]> {
    const { stdout, stderr, exit } = await on.attempt(['doctor', subject, '--format', 'json']);
    if (stdout === '') throw new Error(`The doctor ended with ${exit}: ${stderr}`);
    const found = (JSON.parse(stdout) as { readonly findings: readonly Found[] }).findings;
    return found.filter(({ id }) => !id.startsWith('HF-D06'));
  }

  async function idsOf(subject: string): Promise<string[]> {
    return (await findings(subject)).map(({ id }) => id);
  }

  async function volume(name: string, options: Readonly<Record<string, string>>): Promise<void> {
    const words = Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
    await on.engine.docker(['volume', 'create', ...words, name]);
  }

  async function start(name: string, ...options: string[]): Promise<void> {
    const run = ['run', '-d', '--name', name, '--network=none', ...options, 'busybox', 'sleep', '100000'];
    await on.engine.docker(run);
  }

  /** A shell in a container; its errors are thrown with what it printed. */
  async function inside(name: string, script: string): Promise<string> {
    return await on.engine.docker(['exec', name, 'sh', '-c', script]);
  }

  async function remove(name: string): Promise<void> {
    await on.engine.docker(['rm', '-f', name]);
    await on.engine.docker(['volume', 'rm', '-f', name]);
  }

  /** As the doctor prints it; Docker's command goes to this engine. */
  async function carryOut([program = '', ...args]: readonly string[]): Promise<void> {
    if (program === 'docker') await on.engine.docker(args);
    else execFileSync(program, args, { stdio: 'pipe' });
  }
  return { findings, idsOf, volume, start, inside, remove, carryOut };
}
