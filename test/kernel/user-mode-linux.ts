import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../../scripts/run-command.ts';

export interface Guest {
  /** A folder of the caller's, for the console's log, the guest's memory and its identity. */
  readonly folder: string;
  /** For the name of the log. */
  readonly name: string;
  /** The first program of the guest and its arguments, on the host's file system, which is the guest's root. */
  readonly init: readonly [string, ...string[]];
  /** The image behind /dev/ubda. */
  readonly disk?: string | undefined;
  readonly memory: `${number}M`;
  /** Further arguments of the kernel: `lsm=apparmor`. */
  readonly boot?: readonly string[] | undefined;
  readonly limitMs: number;
}

export interface GuestEnd {
  /** Why it did not switch itself off: it died, hung, or was ended. */
  readonly trouble: string | undefined;
  /** The output of its kernel and programs. */
  readonly console: string;
}

/**
 * Starts a kernel with the host's root, read-only, as its own, and waits for its end. It never outlives this
 * call.
 */
export async function runGuest(guest: Guest): Promise<GuestEnd> {
  const shim = await buildShim(guest.folder);
  const log = join(guest.folder, `${guest.name}.log`);
  const output = openSync(log, 'w', 0o600);
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'linux.uml', ...kernelArguments(guest)], {
    env: { ...process.env, LD_PRELOAD: shim, TMPDIR: guest.folder },
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  const late = AbortSignal.timeout(guest.limitMs);
  // The first process traces all others, which die with it; it dies with this process, however that ends.
  const end = (): void => void child.kill('SIGKILL');
  late.addEventListener('abort', end);
  try {
    await once(child, 'close');
  } finally {
    late.removeEventListener('abort', end);
  }
  const text = readFileSync(log, 'utf8');
  const trouble = troubleOf(text, { isLate: late.aborted, limitMs: guest.limitMs });
  return { trouble, console: text };
}

/** The last lines of a console, for a message. */
export function lastWords(console: string, lines = 40): string {
  return console.trimEnd().split('\n').slice(-lines).join('\n');
}

function troubleOf(console: string, limit: { isLate: boolean; limitMs: number }): string | undefined {
  const panic = /^Kernel panic.*$/m.exec(console)?.[0] ?? /^userspace - .*failed.*$/m.exec(console)?.[0];
  if (panic !== undefined) return `The guest's kernel died: ${panic}`;
  if (/^reboot: (?:Power down|System halted)/m.test(console)) return undefined;
  if (limit.isLate) return `The guest was not done after ${limit.limitMs / 1000} seconds, and was ended`;
  return 'The guest ended without having switched itself off';
}

function kernelArguments({ folder, name, init, disk, memory, boot = [] }: Guest): string[] {
  const [program, ...rest] = init;
  return [
    `mem=${memory}`,
    'rootfstype=hostfs',
    'rootflags=/',
    'ro',
    `init=${program}`,
    ...(disk === undefined ? [] : [`ubd0=${disk}`]),
    `uml_dir=${folder}`,
    `umid=${name}`,
    'con0=null,fd:1',
    'con=null',
    'panic=1',
    ...boot,
    // The memory of its rings breaks this kernel (BUG: Bad page map), and Node.js would use it.
    'sysctl.kernel.io_uring_disabled=2',
    // Unknown kernel arguments become the environment of its first program.
    ...inherited.map((name) => `${name}=${process.env[name] ?? ''}`),
    '--',
    ...rest,
  ];
}

/** The program under test, and the cache of its compiled code. */
const inherited = ['HOLDFAST_TEST_COMMAND', 'NODE_COMPILE_CACHE'] as const;

async function buildShim(folder: string): Promise<string> {
  const target = join(folder, 'xstate-shim.so');
  const source = join(import.meta.dirname, 'xstate-shim.c');
  const built = await runCommand('gcc', [
    '-O2',
    '-Wall',
    '-Werror',
    '-shared',
    '-fPIC',
    '-o',
    target,
    source,
  ]);
  if (built.exitCode === 0) return target;
  throw new Error(`gcc cannot build ${source}: ${built.output}`);
}
