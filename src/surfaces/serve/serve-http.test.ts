import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { sendRaw } from '../../../test/support/raw-client.ts';
import { serveHttp } from './serve-http.ts';

/** In its own process: an uncaught error would fail this test's process before the service sees it. */
const program = `
  import { EventEmitter } from 'node:events';
  import { connect } from 'node:net';
  const { serveHttp, readBody } = await import(process.argv[1]);
  const faults = {
    '/throw': () => { throw new Error('thrown'); },
    '/reject': async () => { throw new Error('rejected'); },
    '/timer': () => void setTimeout(() => { throw new Error('in a timer'); }, 1),
    '/floating': () => void Promise.reject(new Error('a floating promise')),
    '/emitter': () => void setImmediate(() => new EventEmitter().emit('error', new Error('an emitter'))),
    '/socket': () => void connect('/nowhere/at/all'),
    '/half': (request, response) => {
      response.write('begun');
      setTimeout(() => { throw new Error('in the middle'); }, 1);
    },
    '/response': (request, response) => {
      response.end('whole');
      setImmediate(() => response.write('more'));
    },
    '/gone': async (request, response) => {
      await new Promise((resolve) => response.once('close', resolve));
      await readBody(request, 1000).catch((error) => console.log('no body: ' + error.message));
    },
  };
  const end = new AbortController();
  process.once('SIGTERM', () => end.abort());
  await serveHttp({
    socket: { path: process.argv[2], mode: 0o600 },
    signal: end.signal,
    graceMs: 100,
    upgrades: { wants: ({ url }) => url === '/upgrade', take: () => { throw new Error('of an upgrade'); } },
    onListening: () => console.log('serving'),
    onUncaught: (what, error) => console.log('uncaught: ' + what + ': ' + error.message),
    async onRequest(request, response) {
      const fault = faults[request.url];
      if (fault !== undefined) return await fault(request, response);
      if (request.url === '/late') await new Promise((resolve) => setTimeout(resolve, 200));
      const body = await readBody(request, 1000).catch((error) => error);
      response.end(body instanceof Error ? body.message : 'read ' + body.length);
    },
  });
`;

let folder: string;
let socket: string;
let child: ReturnType<typeof spawn>;
let said = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'serve-'));
  socket = join(folder, 's');
  const args = ['--input-type=module', '-e', program, join(import.meta.dirname, 'serve-http.ts'), socket];
  child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout?.setEncoding('utf8');
  child.stdout?.on('data', (text: string) => (said += text));
  await vi.waitFor(() => expect(said).toContain('serving'), { timeout: 60_000 });
});
afterAll(async () => {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
  rmSync(folder, { recursive: true });
});

const head = (target: string, more = ''): string => `GET ${target} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;

async function isServed(): Promise<boolean> {
  return (await sendRaw(socket, head('/', 'Connection: close\r\n'))).includes('read 0');
}

describe('an uncaught error', () => {
  test.each([
    ['/throw', 'thrown'],
    ['/reject', 'rejected'],
    ['/timer', 'in a timer'],
    ['/floating', 'a floating promise'],
    ['/emitter', 'an emitter'],
    ['/socket', 'connect ENOENT /nowhere/at/all'],
  ])('%s ends its request with a 500, is told, and leaves the service alive', async (target, words) => {
    const answer = await sendRaw(socket, head(target));
    expect(answer).toMatch(/^HTTP\/1\.1 500 .*"message":"Cannot answer/s);
    expect(answer).toContain('"Err":"Cannot answer');
    expect(said).toContain(`uncaught: GET ${target}: ${words}\n`);
    expect(await isServed()).toBe(true);
  });

  test('cuts off an answer that has begun', async () => {
    const answer = await sendRaw(socket, head('/half'));
    expect(answer).toContain('begun');
    expect(answer.endsWith('0\r\n\r\n')).toBe(false);
    expect(await isServed()).toBe(true);
  });

  test('of a connection that was handed over closes it', async () => {
    await sendRaw(socket, head('/upgrade', 'Connection: Upgrade\r\nUpgrade: tcp\r\n'));
    expect(said).toContain('uncaught: GET /upgrade: of an upgrade\n');
    expect(await isServed()).toBe(true);
  });

  test('after a whole answer harms nothing', async () => {
    expect(await sendRaw(socket, head('/response', 'Connection: close\r\n'))).toContain('whole');
    expect(await isServed()).toBe(true);
  });
});

describe('what clients send', () => {
  test('is answered when they have closed their side', async () => {
    expect(await sendRaw(socket, head('/late'), { half: true })).toContain('read 0');
    expect(await sendRaw(socket, `${head('/late')}${head('/late')}`, { half: true })).toMatch(
      /read 0.*read 0/s,
    );
  });

  test('may have a head of a mebibyte', async () => {
    const long = 'x'.repeat(1_000_000);
    expect(await sendRaw(socket, head('/', `X-Long: ${long}\r\nConnection: close\r\n`))).toContain('read 0');
    expect(await sendRaw(socket, head(`/?${long}`, 'Connection: close\r\n'))).toContain('read 0');
    expect(await sendRaw(socket, head('/', `X-Long: ${long}${long}\r\n`))).toMatch(/^HTTP\/1\.1 431 /);
  });

  test('is refused when the body is too long, on a connection that goes on', async () => {
    const body = 'x'.repeat(3_000_000);
    const request = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const answer = await sendRaw(socket, `${request}${head('/', 'Connection: close\r\n')}`);
    expect(answer).toMatch(/request body too large.*read 0/s);
  });

  test('can end before its body is read, which its reader sees', async () => {
    await sendRaw(socket, `POST /gone HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n`, { quietMs: 200 });
    await expect.poll(() => said).toContain('no body: The client went away\n');
  });

  test('may be a tunnel, which is refused', async () => {
    const answer = await sendRaw(socket, 'CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 404 .*page not found/s);
  });
});

test('a connection whose request is under way when the service is told to end is closed after its answer', async () => {
  const end = new AbortController();
  const serving = Promise.withResolvers<void>();
  const path = join(folder, 'ending');
  const ended = serveHttp({
    socket: { path, mode: 0o600 },
    signal: end.signal,
    // Longer than the test may take.
    graceMs: 600_000,
    onListening: serving.resolve,
    onUncaught: () => undefined,
    async onRequest(_request, response) {
      end.abort();
      await sleep(100);
      response.end('answered');
    },
  });
  await serving.promise;
  expect(await sendRaw(path, head('/'), { quietMs: 600_000 })).toContain('answered');
  await ended;
});
