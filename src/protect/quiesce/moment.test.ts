import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Volume } from '../../model/volume.ts';
import { type Member, Moment } from './moment.ts';
import { type StillWorld, stillWorld } from './still-world.fixture.ts';

let world: StillWorld;

beforeEach(async () => {
  world = await stillWorld();
  world.volumes.push({ name: 'data', driver: 'local', options: {} } as unknown as Volume);
});
afterEach(async () => rm(world.stateDir, { recursive: true }));

/** Nobody wrote to it when the plan was made. */
async function gradeOf(during: () => void): Promise<string> {
  const member = {
    target: { kind: 'volume', name: 'data' },
    source: { tree: { kind: 'stream' } },
    writers: [],
  } as unknown as Member;
  const plan = {
    consistency: 'cold',
    how: undefined,
    liveFirst: false,
    clones: false,
    note: undefined,
  } as const;
  const parts = { members: [member], plan, application: undefined, stillness: new Map() };
  await using moment = new Moment(world.parts, parts, {});
  await moment.begin(async () => undefined, undefined);
  during();
  await moment.end();
  return (await moment.decideGrade(member)).grade;
}

function addJob(): void {
  const mounts = [{ type: 'volume', source: 'data', destination: '/data', readOnly: false }] as const;
  world.containers.add({ name: 'job', mounts, startedAt: new Date().toISOString() });
}

test('data to which nobody could write is cold', async () => {
  expect(await gradeOf(() => undefined)).toBe('cold');
});

test('a container that was started since the plan was made has torn it, though it has ended again', async () => {
  addJob();
  expect(await gradeOf(() => world.containers.change('job', { state: 'exited' }))).toBe('torn');
});

test('so has one that was started just after it was looked, and has ended again', async () => {
  const list = world.containers.list.bind(world.containers);
  let looks = 0;
  world.containers.list = async () => {
    const seen = await list();
    if (looks++ === 0) {
      addJob();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return seen;
  };
  expect(await gradeOf(() => world.containers.change('job', { state: 'exited' }))).toBe('torn');
});
