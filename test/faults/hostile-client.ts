import { setTimeout as sleep } from 'node:timers/promises';
import { connectTo, type Listener } from '../support/raw-client.ts';
import type { Dice } from './seeded.ts';

/** The listener's protocol, so that requests hit something. */
export interface Dialect {
  readonly methods: readonly string[];
  readonly paths: readonly string[];
  readonly bodies: readonly string[];
}

/** One connection of a malicious or broken client: what it sends, and how. */
export interface Attempt {
  /** Sent in order, with a pause between. */
  readonly parts: readonly Buffer[];
  readonly leave: 'wait' | 'half-close' | 'abort';
  readonly waitMs: number;
}

export function drawAttempt(dialect: Dialect, dice: Dice): Attempt {
  const count = dice.pick([1, 1, 1, 1, 2, 3, 8]);
  let bytes: Buffer = Buffer.concat(Array.from({ length: count }, () => drawRequest(dialect, dice)));
  if (dice.fraction() < 0.15) bytes = mutated(bytes, dice);
  if (dice.fraction() < 0.1) bytes = bytes.subarray(0, dice.between(0, bytes.length + 1));
  return {
    parts: dice.fraction() < 0.2 ? split(bytes, dice) : [bytes],
    leave: dice.pick(['wait', 'wait', 'half-close', 'abort']),
    waitMs: dice.pick([5, 20, 60, 200]),
  };
}

/** Makes the attempt, and returns the response. */
export async function makeAttempt(listener: Listener, attempt: Attempt): Promise<string> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const client = connectTo(listener);
  let answer = '';
  client.setEncoding('latin1');
  client.on('data', (text: string) => {
    if (answer.length < 4096) answer += text;
  });
  client.on('error', () => undefined);
  client.on('close', resolve);
  client.on('end', () => client.end());
  for (const [index, part] of attempt.parts.entries()) {
    if (index > 0) await sleep(2);
    if (client.destroyed) break;
    client.write(part);
  }
  if (attempt.leave === 'half-close') client.end();
  const left = new AbortController();
  await Promise.race([
    closed,
    sleep(attempt.waitMs, undefined, { signal: left.signal }).catch(() => undefined),
  ]);
  left.abort();
  client.destroy();
  await closed;
  return answer;
}

function drawRequest(dialect: Dialect, dice: Dice): Buffer {
  if (dice.fraction() < 0.08) return dice.bytes(dice.pick([1, 10, 1000, 100_000]));
  const method = dice.fraction() < 0.85 ? dice.pick(dialect.methods) : dice.pick(oddMethods);
  const target = drawTarget(dialect, dice);
  const version = dice.pick(['1.1', '1.1', '1.1', '1.1', '1.0', '0.9', '2.0', '1.2', '11']);
  const body = drawBody(dialect, dice);
  const headers = [...drawHeaders(dice), ...lengthHeaders(body, dice)];
  const isChunked = headers.some((header) => /^transfer-encoding: chunked$/i.test(header));
  const eol = dice.fraction() < 0.95 ? '\r\n' : '\n';
  const head = [`${method} ${target} HTTP/${version}`, ...headers, '', ''].join(eol);
  return Buffer.concat([Buffer.from(head, 'latin1'), isChunked ? chunks(body, dice) : body]);
}

function drawTarget({ paths }: Dialect, dice: Dice): string {
  const path = dice.pick(paths);
  const query = dice.pick([
    '',
    '',
    '?',
    `?${dice.pick(oddQueries)}`,
    `?filters=${encodeURIComponent(dice.pick(oddTexts))}`,
  ]);
  const whole = `${path}${query}`;
  if (dice.fraction() < 0.6) return whole;
  return dice.pick([
    `/${whole}`,
    `//${dice.pick(oddHosts)}${whole}`,
    `http://${dice.pick(oddHosts)}${whole}`,
    `${whole}/../${dice.pick(['..', '%2e%2e', '.', ''])}/x`,
    `${path}%${dice.pick(['', '0', 'zz', '00', 'ff', 'c3%28', 'ed%a0%80', '2f', '5c'])}`,
    `${path}${dice
      .bytes(20)
      .toString('latin1')
      .replace(/[\s\0]/g, '')}`,
    `${path}?${'x'.repeat(dice.pick([10, 10_000, 900_000, 1_100_000]))}`,
    dice.pick([
      '*',
      '',
      '/',
      '?',
      '#',
      '://',
      '[',
      'http://',
      'x:y',
      '/v1.45',
      '/v',
      '/v9999999999.1/volumes',
    ]),
  ]);
}

function drawHeaders(dice: Dice): string[] {
  const headers = dice.fraction() < 0.95 ? ['Host: x'] : [];
  for (let count = dice.pick([0, 0, 1, 1, 2, 4]); count > 0; count -= 1) headers.push(dice.pick(oddHeaders));
  if (dice.fraction() < 0.02)
    headers.push(`X-Registry-Config: ${'a'.repeat(dice.pick([70_000, 900_000, 1_200_000]))}`);
  if (dice.fraction() < 0.02) headers.push(...Array.from({ length: 3000 }, (_, index) => `X-${index}: y`));
  if (dice.fraction() < 0.03) headers.push(`X: ${dice.bytes(30).toString('latin1')}`);
  return headers;
}

function drawBody({ bodies }: Dialect, dice: Dice): Buffer {
  const text = dice.pick(bodies);
  const kind = dice.fraction();
  if (kind < 0.35) return Buffer.alloc(0);
  if (kind < 0.75) return Buffer.from(text);
  if (kind < 0.8) return Buffer.from(text.replace(/"([^"]*)"$/, () => `"${'y'.repeat(2_000_000)}"`));
  if (kind < 0.82) return Buffer.alloc(dice.pick([1_500_000, 5_000_000]), 'x');
  if (kind < 0.86) return Buffer.from('['.repeat(100_000));
  if (kind < 0.9) return Buffer.from(dice.pick(oddTexts));
  return mutated(Buffer.from(text), dice);
}

function lengthHeaders(body: Buffer, dice: Dice): string[] {
  const kind = dice.fraction();
  if (kind < 0.75) return body.length === 0 ? [] : [`Content-Length: ${body.length}`];
  return dice.pick([
    ['Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked'],
    [`Content-Length: ${body.length + 5}`],
    [`Content-Length: ${Math.max(0, body.length - 5)}`],
    ['Content-Length: 99999999999999999999'],
    ['Content-Length: -1'],
    ['Content-Length: 1', 'Content-Length: 2'],
    [`Content-Length: ${body.length}`, 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: gzip, chunked'],
    ['Transfer-Encoding: x'],
    [],
  ]);
}

function chunks(body: Buffer, dice: Dice): Buffer {
  const size =
    dice.fraction() < 0.8 ? body.length.toString(16) : dice.pick(['-1', 'zz', 'ffffffffffffffff', '0']);
  const end = dice.pick(['0\r\n\r\n', '0\r\n\r\n', '0\r\nX-Sum: 1\r\n\r\n', '']);
  return Buffer.concat([Buffer.from(`${size}\r\n`), body, Buffer.from(`\r\n${end}`)]);
}

/** Changes, drops or repeats a few bytes. */
function mutated(bytes: Buffer, dice: Dice): Buffer {
  let changed: Buffer = Buffer.from(bytes);
  for (let count = dice.between(1, 6); count > 0 && changed.length > 0; count -= 1) {
    const at = dice.between(0, changed.length);
    const to = Math.min(changed.length, at + dice.between(1, 20));
    switch (dice.between(0, 3)) {
      case 0:
        changed[at] = dice.between(0, 256);
        break;
      case 1:
        changed = Buffer.concat([changed.subarray(0, at), changed.subarray(to)]);
        break;
      default:
        changed = Buffer.concat([changed.subarray(0, to), changed.subarray(at)]);
    }
  }
  return changed;
}

function split(bytes: Buffer, dice: Dice): Buffer[] {
  const at = dice.between(0, bytes.length + 1);
  return [bytes.subarray(0, at), bytes.subarray(at)];
}

const oddMethods = [
  'OPTIONS',
  'CONNECT',
  'TRACE',
  'PATCH',
  'M-SEARCH',
  'QUERY',
  'PRI',
  'get',
  'X',
  '',
  'GET GET',
];
const oddHosts = ['v1.45', '[', '[::bad', 'a b', 'user:pass@h:1', 'h:99999999', '%00', ''];
const oddQueries = [
  'force=1',
  'force',
  'v=1&force=1',
  'since=x',
  'since=0&until=1',
  'until=99999999999',
  'type=volume',
  'type=x',
  'verbose=1',
  'verbose=x',
  'filters=%',
  '=',
  '&&&',
  '%zz',
  'a[]=1&a[]=2',
];
const oddTexts = [
  '{}',
  '[]',
  'null',
  '1',
  '"x"',
  '{"name":["("]}',
  '{"name":{"a":true}}',
  '{"label":["a=b","a"]}',
  '{"dangling":["x"]}',
  '{"all":["1"]}',
  '{"__proto__":["x"]}',
  '{"constructor":{"x":true}}',
  '\u0000',
  '{"label!":["x"]}',
  '{"until":["x"]}',
];
const oddHeaders = [
  'Connection: close',
  'Connection: keep-alive',
  'Connection: Upgrade',
  'Connection: upgrade, HTTP2-Settings',
  'Upgrade: tcp',
  'Upgrade: h2c',
  'Upgrade: websocket',
  'HTTP2-Settings: AAMAAABkAAQAAP__',
  'Trailer: X-Sum',
  'TE: trailers',
  'Expect: 100-continue',
  'Expect: something',
  'Content-Type: application/json',
  'Content-Type: text/plain',
  'Content-Type:',
  'Content-Encoding: gzip',
  'Accept: application/vnd.docker.plugins.v1.2+json',
  'Host: y',
  'Proxy-Connection: keep-alive',
  'Keep-Alive: timeout=0',
  'Range: bytes=0-1',
  'Transfer-Encoding: identity',
  'Sec-WebSocket-Key: x',
  'X-Registry-Auth: e30=',
  'Cookie: a=b',
  ': x',
  'x',
  ' folded: y',
];
