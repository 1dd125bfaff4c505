import { expect, test } from 'vitest';
import { onlySeen } from './ask-server.ts';
import { whyUnproven } from './drill.ts';

const server = { name: 'db', lacks: ['/srv/db.conf'], asked: ['PostgreSQL'], readyAfterMs: undefined };

test('a server that never answers and lacks a file says nothing about its data', () => {
  expect(whyUnproven(server, 'volume')).toBe('"db" needs "/srv/db.conf", which is not in the snapshot');
});

test('a server that answers and has lost data has failed, whatever it lacks', () => {
  expect(whyUnproven({ ...server, readyAfterMs: 900 }, 'volume')).toBeUndefined();
  expect(whyUnproven({ ...server, readyAfterMs: 900 }, 'stack')).toBeUndefined();
});

test('a server that is only seen to run may exit because it misses what is outside its stack', () => {
  const web = { ...server, name: 'web', lacks: [], asked: [onlySeen] };
  expect(whyUnproven(web, 'stack')).toContain('did not keep running');
  expect(whyUnproven(web, 'volume')).toBeUndefined();
});
