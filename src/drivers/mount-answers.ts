import { runProgram } from '../lib/run-program.ts';
import { isAppError } from '../model/errors.ts';
import type { DriverHealth } from './driver.ts';

/** Whether what is mounted answers. Asked by another process: one that asks a dead server hangs for good. */
export async function answers(mountpoint: string, timeoutMs = 4000): Promise<DriverHealth> {
  try {
    const { status, stderr } = await runProgram('stat', ['-f', '--', mountpoint], { timeoutMs });
    if (status === 0) return { status: 'good', message: undefined };
    return { status: 'failed', message: explain(stderr) };
  } catch (error) {
    if (isAppError(error, 'unavailable'))
      return { status: 'unreachable', message: 'What is mounted does not answer: its server is away' };
    return { status: 'degraded', message: 'It could not be asked' };
  }
}

function explain(stderr: string): string {
  if (/Stale file handle/i.test(stderr)) return 'The server does not know the mount any more (stale handle)';
  if (/not connected/i.test(stderr)) return 'The program behind the mount has ended';
  return stderr.replace(/^stat: /, '');
}
