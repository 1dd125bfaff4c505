import { expect, test } from 'vitest';
import { configurationShape } from './configuration/configuration.ts';
import { readDocument } from '../lib/read-document.ts';
import { assignPolicies } from './assign-policies.ts';
import { someSubject } from '../../test/fixtures/fake-work.ts';
import type { Subject } from './subject.ts';

function assigned(policies: string, subjects: readonly Subject[]): string[] {
  const configuration = readDocument(`policies: { ${policies} }`, configurationShape, 'h')?.value;
  if (configuration === undefined) throw new Error('nothing');
  return assignPolicies(configuration, subjects).map(
    ({ policy, subject, reason }) => `${policy.name} ${subject.name}: ${reason}`,
  );
}

const mount = (name: string, more: Partial<Subject> = {}): Subject =>
  someSubject(name, { kind: 'path', containers: ['web-1'], ...more });

const shop = { stack: 'shop', containers: ['shop-web-1'] };

test('bind mounts belong to no policy that does not ask for them', () => {
  const subjects = [mount('/srv/a'), mount('/srv/s', shop), someSubject('v', shop)];
  expect(assigned('rest: {}, s: { stacks: shop }', subjects)).toEqual([
    's v: it belongs to the stack "shop"',
  ]);
  expect(assigned('all: { everything: true }', subjects)).toEqual(['all v: the policy is about everything']);
});

test('a policy takes the bind mounts of its stacks, of everything, or of all that no other policy names', () => {
  const subjects = [mount('/srv/a'), mount('/srv/s', shop)];
  expect(assigned('s: { stacks: shop, bind-mounts: true }, rest: { bind-mounts: true }', subjects)).toEqual([
    'rest /srv/a: no other policy names it',
    's /srv/s: it belongs to the stack "shop"',
  ]);
  expect(assigned('all: { everything: true, bind-mounts: true, except: /srv/a }', subjects)).toEqual([
    'all /srv/s: the policy is about everything',
  ]);
});

test('a policy takes the volumes and bind mounts of the containers that its patterns match', () => {
  const subjects = [mount('/srv/a'), mount('/srv/s', shop), someSubject('v', shop), someSubject('w')];
  expect(assigned("p: { containers: 'shop-*' }", subjects)).toEqual([
    'p /srv/s: the container "shop-web-1" mounts it',
    'p v: the container "shop-web-1" mounts it',
  ]);
});

test('a bind mount of the system, or in a directory that the policy saves, is not saved by itself', () => {
  const subjects = [
    mount('/srv/app'),
    mount('/srv/app/uploads'),
    mount('/srv/application'),
    mount('/proc', { skipped: 'it is of the machine, not of the application' }),
  ];
  expect(assigned('rest: { bind-mounts: true }', subjects).map((text) => text.split(':')[0])).toEqual([
    'rest /srv/app',
    'rest /srv/application',
  ]);
});

test('a bind mount behind a link or on another file system is saved by itself, also in a directory that is saved', () => {
  const at = (path: string, device = 1): Partial<Subject> => ({ at: { path, device } });
  const subjects = [
    mount('/srv/app', at('/srv/app')),
    mount('/srv/app/disk', at('/srv/app/disk', 2)),
    mount('/srv/app/media', at('/mnt/media')),
    mount('/srv/app/uploads', at('/srv/app/uploads')),
    mount('/srv/other', at('/srv/app')),
  ];
  expect(assigned('rest: { bind-mounts: true }', subjects).map((text) => text.split(':')[0])).toEqual([
    'rest /srv/app',
    'rest /srv/app/disk',
    'rest /srv/app/media',
    'rest /srv/other',
  ]);
});

test('labels of a container give its bind mounts a policy that takes bind mounts, and no schedule of their own', () => {
  const policies = ['a', 'b'];
  const subjects = [mount('/srv/a', { policies })];
  expect(assigned('a: { volumes: x }, b: { everything: true, bind-mounts: true }', subjects)).toEqual([
    'b /srv/a: its label names it',
  ]);
  const settings = { ...someSubject('x').settings, schedule: ['@daily'] };
  expect(
    assigned('a: { volumes: x }', [mount('/srv/a', { settings }), someSubject('v', { settings })]),
  ).toEqual(['labels v: its labels have a schedule']);
});
