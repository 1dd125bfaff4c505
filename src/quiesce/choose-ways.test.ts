import { expect, test } from 'vitest';
import type { ConsistencyMode } from '../model/consistency.ts';
import type { Stillness } from '../model/label-settings.ts';
import { chooseWays, type Strength } from './choose-ways.ts';

function member(consistency: ConsistencyMode, consistencyBy: Strength) {
  return {
    target: { name: 'pg' },
    writers: [{ id: 'db' }, { id: 'web' }],
    settings: { consistency, consistencyBy },
  };
}

function asked(stillness: Record<string, Stillness>, own?: ConsistencyMode) {
  const consistency = new Map(own === undefined ? [] : [['pg', own] as const]);
  return { stillness: new Map(Object.entries(stillness)), plan: { consistency } };
}

test('a mode from the command line applies to all, whatever labels say', () => {
  const one = member('stop', 'given');
  const ways = chooseWays([one], asked({ db: 'run' }, 'freeze'));
  expect([ways.modeOf(one), [...ways.stillness]]).toEqual(['stop', []]);
});

test('"auto" on the command line leaves the choice to the labels of containers', () => {
  const one = member('auto', 'given');
  const ways = chooseWays([one], asked({ db: 'stop' }));
  expect([ways.modeOf(one), [...ways.stillness]]).toEqual(['auto', [['db', 'stop']]]);
});

test('a mode from the defaults applies where labels say nothing', () => {
  const one = member('pause', 'base');
  const ways = chooseWays([one], asked({ db: 'stop' }));
  expect([ways.modeOf(one), [...ways.stillness]]).toEqual(['pause', [['db', 'stop']]]);
  expect(chooseWays([one], asked({}, 'two-pass')).modeOf(one)).toBe('two-pass');
  expect(chooseWays([one], undefined).modeOf(one)).toBe('pause');
});

test('a label that stops its containers or lets them run does not concern other volumes', () => {
  const one = member('stop', 'own');
  expect(chooseWays([one], asked({ db: 'stop', web: 'stop' })).modeOf(one)).toBe('auto');
  expect(chooseWays([one], undefined).modeOf(one)).toBe('stop');
});

test('a labelled container is stopped even where the defaults let all run on', () => {
  const one = member('live', 'base');
  const ways = chooseWays([one], asked({ db: 'stop' }));
  expect(ways.modeOf(one)).toBe('auto');
  expect([...ways.stillness]).toEqual([
    ['db', 'stop'],
    ['web', 'run'],
  ]);
  expect(chooseWays([one], asked({ db: 'run' })).modeOf(one)).toBe('live');
});
