import { type MountPoint, mountOver } from '../../lib/mountinfo.ts';
import { runProgram } from '../../lib/run-program.ts';
import { fromText, toText } from '../../model/byte-string.ts';
import { isAppError } from '../../model/errors.ts';

/** The room of a file system, as it tells it itself. */
export interface Room {
  readonly type: string;
  readonly totalBytes: number;
  /** For users other than root. */
  readonly freeBytes: number;
  /** 0 where it does not count them (btrfs). */
  readonly totalInodes: number;
  readonly freeInodes: number;
}

export type MountAnswer =
  | { readonly kind: 'room'; readonly room: Room }
  | { readonly kind: 'silent'; readonly afterMs: number }
  | { readonly kind: 'error'; readonly message: string };

/** `slow` is for a machine on which it takes `prompt` to ask what always answers. */
const usualPatience = { usualMs: 5000, promptMs: 1000, slowMs: 20_000 };
const atOnce = 16;

/**
 * Asks for paths as `askMounts` does, and first for the mounts that they lie on. What lies on one that is silent is
 * silent, too: asked for itself, each would leave one more process in the kernel.
 */
export async function askByMount(
  paths: readonly string[],
  mounts: readonly MountPoint[],
  signal: AbortSignal | undefined,
  patience = usualPatience,
): Promise<ReadonlyMap<string, MountAnswer>> {
  const topOf = (path: string): string | undefined => {
    const mount = mountOver(mounts, fromText(path));
    return mount === undefined ? undefined : toText(mount.path);
  };
  const answers = new Map(
    await askMounts(
      paths.flatMap((path) => topOf(path) ?? []),
      signal,
      patience,
    ),
  );
  const rest = paths.filter((path) => {
    const answer = answers.get(topOf(path) ?? '');
    if (answer?.kind === 'silent') answers.set(path, answer);
    return !answers.has(path);
  });
  for (const [path, answer] of await askMounts(rest, signal, patience)) answers.set(path, answer);
  return answers;
}

/**
 * Asks the file systems of paths for their room, each in a process of its own: one that is stuck in the kernel
 * is left behind, and neither this process nor its end waits for it.
 */
export async function askMounts(
  paths: readonly string[],
  signal: AbortSignal | undefined,
  { usualMs, promptMs, slowMs } = usualPatience,
): Promise<ReadonlyMap<string, MountAnswer>> {
  const answers = new Map<string, MountAnswer>();
  const queue = new Set(paths).values();
  const work = async (): Promise<void> => {
    for (const path of queue) answers.set(path, await askMount(path, usualMs, signal));
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  const silent = [...answers].flatMap(([path, { kind }]) => (kind === 'silent' ? [path] : []));
  if (silent.length === 0) return answers;
  const began = performance.now();
  await askMount('/proc', usualMs, signal);
  // Where even that takes long, it is the machine that is slow, and not yet the storage.
  if (performance.now() - began > promptMs)
    await Promise.all(silent.map(async (path) => answers.set(path, await askMount(path, slowMs, signal))));
  return answers;
}

async function askMount(
  path: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<MountAnswer> {
  try {
    const args = ['-f', '-c', '%T %S %b %a %c %d', '--', path];
    const { status, stdout, stderr } = await runProgram('stat', args, {
      timeoutMs,
      signal,
      env: { LC_ALL: 'C' },
    });
    if (status !== 0) return { kind: 'error', message: stderr.replace(/^.*: /s, '') };
    return { kind: 'room', room: parseRoom(stdout) };
  } catch (error) {
    if (isAppError(error, 'unavailable')) return { kind: 'silent', afterMs: timeoutMs };
    throw error;
  }
}

function parseRoom(text: string): Room {
  const [type = '', ...numbers] = text.trim().split(' ');
  const [block = 0, blocks = 0, free = 0, totalInodes = 0, freeInodes = 0] = numbers.map(Number);
  return { type, totalBytes: blocks * block, freeBytes: free * block, totalInodes, freeInodes };
}
