import { expect, test } from 'vitest';
import { memoryCatalog } from '../../../test/fixtures/memory-catalog.ts';
import { someSnapshot } from '../../../test/fixtures/some-snapshot.ts';
import { AppError } from '../../model/errors.ts';
import { onlySeen } from './ask-server.ts';
import { rememberDrill, whyUnproven } from './drill.ts';

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

test('a drill whose result cannot be remembered keeps its result, and says so', () => {
  const { usage } = memoryCatalog();
  const full = {
    ...usage,
    noteDrill() {
      throw new AppError('full', 'Cannot write the catalog');
    },
  };
  const notes: string[] = [];
  const snapshots = [someSnapshot({ id: 'a1', time: '2026-03-02T12:00:00Z' })];
  rememberDrill(
    { usage: full },
    { choice: { snapshots }, drilled: { outcome: 'failed', recoverMs: undefined } },
    { onNote: (note) => void notes.push(note) },
  );
  expect(notes).toEqual(['The result of this drill is not remembered: Cannot write the catalog.']);
});
