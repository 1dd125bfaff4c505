import { expect, test } from 'vitest';
import { describeConsumers, inUseError } from './consumers.ts';
import type { Consumer } from './volume.ts';

function consumer(name: string, rest: Partial<Consumer> = {}): Consumer {
  return {
    id: `id-${name}`,
    name,
    image: 'nginx',
    state: 'running',
    stack: undefined,
    service: undefined,
    path: '/data',
    readOnly: false,
    ...rest,
  };
}

test('inUseError() names every consumer and its state', () => {
  const error = inUseError('remove', 'pg', [consumer('web-db-1'), consumer('x', { state: 'exited' })]);
  expect(error).toMatchObject({
    code: 'in-use',
    message: 'Cannot remove "pg": it is in use by "web-db-1" (running), "x" (stopped)',
    hint: 'Remove those containers first.',
  });
});

test('a container that mounts a volume twice is named once', () => {
  const twice = [consumer('db'), consumer('db', { path: '/other' })];
  expect(describeConsumers(twice)).toBe('"db" (running)');
  expect(inUseError('remove', 'pg', twice).hint).toBe('Remove that container first.');
});

test('a long list is cut', () => {
  const many = Array.from({ length: 20 }, (_, index) => consumer(`c${index}`));
  expect(describeConsumers(many)).toMatch(/^"c0" \(running\), .*"c7" \(running\), and 12 more$/);
});
