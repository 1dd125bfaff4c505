import koffi from 'koffi';
import { AppError } from '../../model/errors.ts';

const fcntl = koffi.load(null).func('int fcntl(int fd, int command, ...)');
const setDescriptorFlags = 2;
const closeOnExec = 1;
const firstDescriptor = 3;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The listening socket that systemd opened for this process (socket activation, sd_listen_fds(3)); undefined
 * without one. Programs that this process starts do not inherit it.
 */
export function activatedSocket(env: Environment, pid: number): number | undefined {
  if (env['LISTEN_PID'] !== String(pid)) return undefined;
  const count = Number(env['LISTEN_FDS'] ?? '0');
  if (!Number.isInteger(count) || count < 1) return undefined;
  if (count > 1) {
    throw new AppError('usage', `The service manager hands over ${count} sockets where one is served`, {
      hint: 'Give each its own unit.',
    });
  }
  if (fcntl(firstDescriptor, setDescriptorFlags, 'int', closeOnExec) !== 0) {
    throw new AppError('failed', `The service manager's socket is not there: error ${koffi.errno()}`);
  }
  return firstDescriptor;
}
