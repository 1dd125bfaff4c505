import { expect, test } from 'vitest';
import { isAppError } from '../../model/errors.ts';
import { readDocument } from '../../lib/read-document.ts';
import { channelsShape } from './channels-shape.ts';

function read(text: string) {
  return readDocument(text, channelsShape, 'h.yaml')?.value;
}

function problems(text: string): string {
  try {
    read(text);
  } catch (error) {
    if (isAppError(error, 'usage')) return `${error.message}\n${error.detail ?? ''}`;
    throw error;
  }
  return '';
}

test('a channel with only its required fields gets useful defaults', () => {
  expect(read('ops: { type: discord, url: env:DISCORD }')).toEqual([
    {
      name: 'ops',
      type: 'discord',
      url: 'env:DISCORD',
      on: ['failure', 'recovery', 'missed', 'anomaly'],
      volumes: [],
      policies: [],
      title: undefined,
      message: undefined,
      retryForMs: 30_000,
    },
  ]);
});

test('every type accepts its own fields', () => {
  const channels = read(`
hook: { type: webhook, url: 'https://h/x', headers: { Authorization: env:TOKEN }, body: '{"a": "{message}"}', retry-for: 2m }
mail: { type: email, server: mail.example.com, from: a@b, to: [c@d, e@f], username: u, password: file:/p, on: failure }
push: { type: ntfy, url: 'https://ntfy.sh/t', token: exec:get token, volumes: 'pg-*' }
chat: { type: slack, url: file:/run/secrets/slack, policies: nightly }
watch: { type: healthchecks, url: 'https://hc/ping/{volume}', works: [backup, verify] }
`);
  expect(channels).toMatchObject([
    { type: 'webhook', headers: { Authorization: 'env:TOKEN' }, method: 'POST', retryForMs: 120_000 },
    { type: 'email', to: ['c@d', 'e@f'], encryption: 'starttls', on: ['failure'] },
    { type: 'ntfy', token: 'exec:get token', volumes: ['pg-*'] },
    { type: 'slack', policies: ['nightly'] },
    { type: 'healthchecks', perVolume: true, works: ['backup', 'verify'] },
  ]);
});

test.each([
  ['ops: { type: telegram, url: env:X }', 'must be one of webhook, email'],
  ['ops: { url: env:X }', 'needs "type"'],
  ['ops: { type: slack }', 'needs "url"'],
  ['ops: { type: email, server: s, from: a@b }', 'needs "to"'],
  ['ops: { type: slack, url: env:X, to: a@b }', 'has "to"'],
  ['ops: { type: slack, url: ftp://x }', 'must be an http or https address'],
  ['ops: { type: email, server: s, from: a, to: b, username: u, password: hunter2 }', 'must be a reference'],
  ['ops: { type: email, server: s, from: a, to: b, password: env:P }', 'no "username"'],
  ['ops: { type: ntfy, url: env:X, token: env:T, username: u }', 'one of them is enough'],
  ['ops: { type: slack, url: env:X, message: "{volumes}" }', '"{volumes}"'],
  ['ops: { type: slack, url: env:X, retry-for: 5 }', 'must be a text'],
  ['ops: { type: slack, url: env:X, on: failures }', 'must be one of failure'],
  ['"a b": { type: slack, url: env:X }', 'is no name for a channel'],
])('%s is refused', (text, words) => {
  expect(problems(text)).toContain(words);
});

test('no message repeats a value that was given as a secret', () => {
  const told = problems('ops: { type: ntfy, url: env:X, token: hunter2 }');
  expect(told).toContain('token');
  expect(told).not.toContain('hunter2');
});
