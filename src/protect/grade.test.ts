import { expect, test } from 'vitest';
import type { Consumer } from '../model/volume.ts';
import { consumersOfPath } from './describe-volume.ts';
import { gradeOf } from './grade.ts';

function consumer(name: string, fields: Partial<Consumer> = {}): Consumer {
  return {
    id: name,
    name,
    image: 'i',
    state: 'running',
    stack: undefined,
    service: undefined,
    path: '/data',
    readOnly: false,
    ...fields,
  };
}

test('gradeOf() is cold when nobody could write, before or after', () => {
  expect(gradeOf([], [])).toMatchObject({ grade: 'cold' });
  expect(gradeOf([consumer('a', { state: 'exited' })], [consumer('b', { readOnly: true })])).toMatchObject({
    grade: 'cold',
  });
});

test('gradeOf() is torn when a container could write before, or had been started by the end, and names it', () => {
  expect(gradeOf([consumer('db')], [])).toMatchObject({
    grade: 'torn',
    reason: expect.stringContaining('"db"'),
  });
  expect(gradeOf([], [consumer('late', { state: 'paused' })])).toMatchObject({ grade: 'torn' });
});

test('consumersOfPath() finds containers that mount the directory, something in it, or something around it', () => {
  const mount = (source: string) => ({
    type: 'bind' as const,
    source,
    destination: '/x',
    readOnly: false,
    driver: undefined,
    consumer: consumer(source),
  });
  const mounts = [
    mount('/srv/data'),
    mount('/srv/data/sub'),
    mount('/srv'),
    mount('/'),
    mount('/srv/data2'),
    mount('/other'),
  ];
  expect(consumersOfPath(mounts, '/srv/data').map(({ name }) => name)).toEqual([
    '/srv/data',
    '/srv/data/sub',
    '/srv',
    '/',
  ]);
});
