import { mkdtempSync, rmSync, truncateSync, writeFileSync, mkdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { missingPackages } from './debian-packages.ts';
import type { Lane } from './lanes.ts';
import { mustRun, runCommand } from './run-command.ts';

/** Why this machine cannot run a lane; undefined when it can. */
export async function reasonAgainst(lane: Lane): Promise<string | undefined> {
  const missing = missingPackages(lane.packages);
  if (missing.length > 0) return `it needs programs that are missing: ${remedy(missing)}`;
  if (['engine', 'stacks', 'attacks'].includes(lane.name)) return reasonAgainstEngine();
  if (lane.name === 'sandbox') return await reasonAgainstNamespaces();
  if (lane.name === 'podman' && process.getuid?.() !== 0)
    return 'it starts a Podman service of its own with containers, which here only root may';
  if (lane.name === 'filesystems') return await reasonAgainstLoopMounts();
  if (lane.name === 'kernel') return await reasonAgainstUserModeLinux();
  return undefined;
}

/**
 * Whether a kernel starts as a program here, and reaches its first process: ptrace may be forbidden, or the
 * CPU too new.
 */
async function reasonAgainstUserModeLinux(): Promise<string | undefined> {
  if (process.arch !== 'x64') return 'User-Mode Linux runs on x64 only';
  if (process.getuid?.() !== 0)
    return 'its guest has the files of this machine for its own, which only root may read';
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-probe-'));
  try {
    const { runGuest, lastWords } = await import('../test/kernel/user-mode-linux.ts');
    const { console: words } = await runGuest({
      folder,
      name: 'probe',
      init: ['/bin/true'],
      memory: '128M',
      limitMs: 180_000,
    });
    // A kernel panics when its first process ends, which here means that it works.
    if (words.includes('Attempted to kill init! exitcode=0x00000000')) return undefined;
    return `User-Mode Linux does not start here: ${lastWords(words, 5)}`;
  } catch (error) {
    return `User-Mode Linux does not start here: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Which tests of a lane this machine must leave out, and why; undefined for none. */
export function omissionsOf(lane: Lane): { files: string; reason: string } | undefined {
  const missing = missingPackages(lane.demanding?.packages ?? []);
  if (lane.demanding === undefined || missing.length === 0) return undefined;
  return { files: lane.demanding.files, reason: `they need programs that are missing: ${remedy(missing)}` };
}

function remedy(missing: readonly string[]): string {
  return `as root, apt-get install ${missing.join(' ')}`;
}

function reasonAgainstEngine(): string | undefined {
  if (process.getuid?.() !== 0) return 'it starts a Docker Engine of its own, which only root may';
  // dockerd mounts and creates namespaces: CAP_SYS_ADMIN is bit 21.
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  if ((BigInt(`0x${effective}`) & (1n << 21n)) === 0n) return 'this root may not mount (no CAP_SYS_ADMIN)';
  return undefined;
}

async function reasonAgainstNamespaces(): Promise<string | undefined> {
  const tried = await runCommand('bwrap', [
    '--unshare-pid',
    '--ro-bind',
    '/',
    '/',
    '--proc',
    '/proc',
    'true',
  ]);
  return tried.exitCode === 0 ? undefined : `this machine gives no namespaces: ${tried.output.trim()}`;
}

/** The only reliable test of loop mounts is to make one. */
async function reasonAgainstLoopMounts(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'it mounts file systems on loop devices, which only root may';
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-probe-'));
  try {
    const image = join(folder, 'image');
    const target = join(folder, 'target');
    mkdirSync(target);
    writeFileSync(image, '');
    truncateSync(image, 256 * 1024 * 1024);
    const made = await runCommand('mkfs.btrfs', ['-q', image]);
    if (made.exitCode !== 0) return `mkfs.btrfs failed: ${made.output.trim()}`;
    const mounted = await runCommand('mount', ['-o', 'loop', image, target]);
    if (mounted.exitCode !== 0)
      return `this kernel can't mount btrfs on a loop device: ${mounted.output.trim()}`;
    // A program that looks at all mounts keeps one from being unmounted at once.
    await mustRun('umount', ['--lazy', target]);
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
