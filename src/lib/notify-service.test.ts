import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { notifyService, watchdogIntervalMs } from './notify-service.ts';

let folder: string;
let listener: ChildProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-notify-'));
});
afterEach(async () => {
  if (listener?.exitCode === null) {
    listener.kill();
    await once(listener, 'close');
  }
  rmSync(folder, { recursive: true, force: true });
});

/** A service manager that prints one message and ends: Node.js has no datagram sockets of this kind. */
async function listen(name: string): Promise<() => Promise<string>> {
  const program = `
import socket, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(('\\0' + name[1:]) if name.startswith('@') else name)
print('listening', flush=True)
print(s.recv(4096).decode(), end='', flush=True)
`;
  const child = spawn('python3', ['-c', program, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  listener = child;
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await once(child.stdout, 'data');
  return async () => {
    await once(child, 'close');
    return said.replace('listening\n', '');
  };
}

test('the service manager hears it, at a path and at a name in the abstract namespace', async () => {
  for (const name of [join(folder, 'notify'), `@holdfast-test-${process.pid}`]) {
    const heard = await listen(name);
    notifyService({ NOTIFY_SOCKET: name }, 'READY=1\nSTATUS=Grüße');
    expect(await heard()).toBe('READY=1\nSTATUS=Grüße');
  }
});

test('without a service manager nothing happens; a missing one is an error', () => {
  expect(() => notifyService({}, 'READY=1')).not.toThrow();
  expect(() => notifyService({ NOTIFY_SOCKET: join(folder, 'gone') }, 'READY=1')).toThrow('does not take it');
  expect(() => notifyService({ NOTIFY_SOCKET: 'relative' }, 'READY=1')).toThrow('is no socket');
});

test('the watchdog is fed at half of its patience, by the process that it watches', () => {
  expect(watchdogIntervalMs({ WATCHDOG_USEC: '30000000' }, 7)).toBe(15_000);
  expect(watchdogIntervalMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' }, 7)).toBe(15_000);
  expect(watchdogIntervalMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' }, 7)).toBeUndefined();
  expect(watchdogIntervalMs({}, 7)).toBeUndefined();
});
