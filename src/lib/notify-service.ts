import { errorMessage } from '../model/errors.ts';
import koffi from 'koffi';

const libc = koffi.load(null);
const socket = libc.func('int socket(int domain, int type, int protocol)');
const sendto = libc.func(
  'intptr_t sendto(int fd, const void *data, size_t length, int flags, const void *address, uint32_t addressLength)',
);
const close = libc.func('int close(int fd)');

const unix = 1;
const datagram = 2;
const closeOnExec = 0o2000000;
const noSignal = 0x4000;
const withoutWaiting = 0x40;

/**
 * Tells the service manager that started this process its state (`READY=1`), by sd_notify(3). Does nothing
 * without a service manager. Throws an Error when the message cannot be sent.
 */
export function notifyService(env: Readonly<Record<string, string | undefined>>, state: string): void {
  const path = env['NOTIFY_SOCKET'];
  if (path === undefined || path === '') return;
  const address = addressOf(path);
  const fd: number = socket(unix, datagram | closeOnExec, 0);
  if (fd < 0) throw new Error(`no socket can be made: error ${koffi.errno()}`);
  try {
    const data = Buffer.from(state, 'utf8');
    const sent = Number(sendto(fd, data, data.length, noSignal | withoutWaiting, address, address.length));
    if (sent < 0) throw new Error(`"${path}" does not take it: error ${koffi.errno()}`);
  } finally {
    close(fd);
  }
}

/** The same, but a failure is only a warning. */
export function tryNotifyService(
  env: Readonly<Record<string, string | undefined>>,
  state: string,
  say: (message: string) => void,
): void {
  try {
    notifyService(env, state);
  } catch (error) {
    const why = errorMessage(error);
    say(`Warning: the service manager cannot be told: ${why}`);
  }
}

/**
 * How often the service manager expects `WATCHDOG=1`: half of its timeout. Undefined when it does not watch.
 */
export function watchdogIntervalMs(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | undefined {
  const microseconds = Number(env['WATCHDOG_USEC'] ?? Number.NaN);
  const watched = env['WATCHDOG_PID'];
  if (watched !== undefined && watched !== String(pid)) return undefined;
  return Number.isFinite(microseconds) && microseconds > 0 ? microseconds / 2000 : undefined;
}

/** A path, or a name in the abstract namespace that begins with "@". */
function addressOf(path: string): Buffer {
  const name = Buffer.from(path, 'utf8');
  if (name.length > 107 || !/^[/@]/.test(path)) throw new Error(`"${path}" is no socket`);
  if (path.startsWith('@')) name[0] = 0;
  const family = Buffer.alloc(2);
  family.writeUInt16LE(unix);
  const end = path.startsWith('@') ? Buffer.alloc(0) : Buffer.alloc(1);
  return Buffer.concat([family, name, end]);
}
