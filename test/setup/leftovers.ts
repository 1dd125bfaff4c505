import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface FoundProcess {
  readonly pid: number;
  readonly command: string;
}

/**
 * Processes other than this one that carry `mark` (`NAME=value`) in their environment, whatever their parent is now.
 * Waits up to `graceMs` for those that are just ending.
 */
export async function findProcesses(
  mark: string,
  options: { readonly graceMs: number },
): Promise<FoundProcess[]> {
  const deadline = Date.now() + options.graceMs;
  for (;;) {
    const found = scanProcesses(mark);
    if (found.length === 0 || Date.now() >= deadline) return found;
    await sleep(50);
  }
}

/** Ends processes, politely and then by force. */
export async function endProcesses(processes: readonly FoundProcess[]): Promise<void> {
  if (processes.length === 0) return;
  for (const { pid } of processes) signal(pid, 'SIGTERM');
  await sleep(500);
  for (const { pid } of processes) signal(pid, 'SIGKILL');
}

/** Mount points at or below a folder, the deepest first. */
export function mountsBelow(folder: string): string[] {
  return mountPoints()
    .filter((point) => point === folder || point.startsWith(`${folder}/`))
    .reverse();
}

/** All mount points of this process, in the kernel's order. */
export function mountPoints(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => unescapeOctal(line.split(' ')[4] ?? ''));
}

export function unmountAll(points: readonly string[]): void {
  for (const point of points) spawnSync('umount', ['--lazy', point]);
}

/** What lies directly in a folder, but for caches that Node.js itself keeps in the temporary folder. */
export function leftoverFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name !== 'node-compile-cache')
    .sort();
}

/** Removes a folder and all in it, also where its owner took their own right to enter folders of it, or made them immutable. */
export function removeFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // The place of a mount is immutable while the mount is away.
    spawnSync('chattr', ['-R', '-f', '-i', folder]);
    openFolders(Buffer.from(folder));
    rmSync(folder, { recursive: true, force: true });
  }
}

function openFolders(folder: Buffer): void {
  chmodSync(folder, 0o700);
  for (const entry of readdirSync(folder, { withFileTypes: true, encoding: 'buffer' })) {
    if (entry.isDirectory()) openFolders(Buffer.concat([folder, Buffer.from('/'), entry.name]));
  }
}

function scanProcesses(mark: string): FoundProcess[] {
  const wanted = Buffer.from(`\0${mark}\0`);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => Buffer.concat([zero, readProc(pid, 'environ'), zero]).includes(wanted))
    .map((pid) => ({
      pid: Number(pid),
      command: readProc(pid, 'cmdline').toString().replaceAll('\0', ' ').trim().slice(0, 200),
    }));
}

const zero = Buffer.from([0]);

/** Empty when the process is gone or belongs to another user. */
function readProc(pid: string, name: string): Buffer {
  try {
    return readFileSync(`/proc/${pid}/${name}`);
  } catch {
    return Buffer.alloc(0);
  }
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended by itself.
  }
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
