import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { expect } from 'vitest';

/** An encrypted folder whose program a test stops or kills. The disposal lets it go on, and unmounts it. */
export interface SilentMount extends AsyncDisposable {
  /** From here on, each call into the mount waits. */
  stop(): void;
  goOn(): void;
  /** From here on, each call into the mount fails (ENOTCONN). */
  kill(): void;
  /** After it was killed and unmounted. */
  mountAgain(): void;
}

/** Mounts a new encrypted folder (gocryptfs) at `path`, which must not exist; its content lies in `cipher`. */
export function mountSilent(cipher: string, path: string): SilentMount {
  for (const folder of [cipher, path]) mkdirSync(folder, { recursive: true });
  const gocryptfs = (...args: string[]): void => {
    const all = ['-q', '-extpass', 'echo', '-extpass', 'secret', ...args];
    execFileSync('gocryptfs', all, { stdio: 'pipe' });
  };
  gocryptfs('-init', '-scryptn', '10', cipher);
  const mountAgain = (): void => gocryptfs(cipher, path);
  mountAgain();
  const signal = (name: NodeJS.Signals): number => {
    const found = spawnSync('pgrep', ['-f', `^[^ ]*gocryptfs .*${path}$`], { encoding: 'utf8' });
    const pids = found.stdout.split('\n').filter(Boolean);
    for (const pid of pids) process.kill(Number(pid), name);
    return pids.length;
  };
  const mustSignal = (name: NodeJS.Signals): void =>
    expect(signal(name), `how many programs are behind ${path}`).toBeGreaterThan(0);
  return {
    stop: () => mustSignal('SIGSTOP'),
    goOn: () => mustSignal('SIGCONT'),
    kill: () => mustSignal('SIGKILL'),
    mountAgain,
    async [Symbol.asyncDispose]() {
      // A test that has failed may have left no program, or no mount.
      signal('SIGCONT');
      await unmountOnceFree(path);
    },
  };
}

/** A killed reader, or the loop device of a file in it, keeps a mount busy for a moment. */
export async function unmountOnceFree(path: string): Promise<void> {
  const unmount = (): string => {
    const { status, stderr } = spawnSync('umount', [path], { encoding: 'utf8' });
    return status === 0 || stderr.includes('not mounted') ? 'unmounted' : stderr;
  };
  await expect.poll(unmount).toBe('unmounted');
}
