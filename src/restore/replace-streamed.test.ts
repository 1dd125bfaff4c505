import { expect, test } from 'vitest';
import { openStreamedWorld, restoreFar } from '../../test/fixtures/streamed-world.ts';

test('a volume behind an engine is replaced as a whole', async () => {
  await using world = await openStreamedWorld();
  const { engine } = world;
  await restoreFar(world);
  expect(await engine.textOf('far')).toBe('saved');
});

test.each([[['create']], [['write']]])(
  'when the engine fails once, at %j, what was there is put back',
  async (failures) => {
    await using world = await openStreamedWorld();
    const { engine } = world;
    engine.failures = [...failures];
    await expect(restoreFar(world)).rejects.toMatchObject({
      message: expect.stringContaining('The engine failed at'),
    });
    expect(await engine.textOf('far')).toBe('newer');
  },
);

test.each([[['create', 'create']], [['write', 'write']], [['write', 'create']]])(
  'when it goes on failing, at %j, the error names the snapshot that holds what was there',
  async (failures) => {
    await using world = await openStreamedWorld();
    const { engine, opened } = world;
    engine.failures = [...failures];
    const error: unknown = await restoreFar(world).catch((thrown: unknown) => thrown);
    const safety = (await opened.repository.listSnapshots()).find(({ tags }) =>
      tags.includes('before-restore'),
    );
    expect(safety).toBeDefined();
    expect(error).toMatchObject({
      code: 'failed',
      message: 'Cannot restore "far", and could not put back what was in it',
      hint: expect.stringContaining(`holdfast restore far@${safety?.id.slice(0, 8)}`),
    });
  },
);
