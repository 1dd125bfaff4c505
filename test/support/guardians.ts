import { readdirSync, readFileSync } from 'node:fs';

/** The processes that would put back what the engine holds still for a command with this state folder. */
export function guardiansOf(stateDir: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
        return words.some((word) => word.includes('put-back-worker')) && words.includes(stateDir);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** As when the whole machine, or a service with all of its processes, is killed. */
export function killWithGuardians(child: { kill(signal: 'SIGKILL'): boolean }, stateDir: string): void {
  for (const pid of guardiansOf(stateDir)) process.kill(pid, 'SIGKILL');
  child.kill('SIGKILL');
}
