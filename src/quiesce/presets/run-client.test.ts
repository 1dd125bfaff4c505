import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Containers } from '../../hosts/containers.ts';
import { runClient } from './run-client.ts';

/** Its commands take a moment, unless they are cancelled. */
const containers = {
  async exec(_id, _request, options) {
    await sleep(50, undefined, { signal: options?.signal });
    async function* nothing(): AsyncGenerator<Uint8Array> {}
    return { stdout: nothing(), ended: Promise.resolve({ exitCode: 0, stderr: '' }) };
  },
} as Pick<Containers, 'exec'> as Containers;
const place = { containers, container: { id: 'c1', name: 'db' } };

test.each([30, 60])(
  'a time limit of %i days, which no timer takes, does not end a command at once',
  async (days) => {
    const request = { command: ['true'], withinMs: days * 86_400_000 };
    expect(await runClient(place, request)).toMatchObject({ exitCode: 0 });
  },
);

test('a command that takes longer than its limit ends with an error that names it', async () => {
  await expect(runClient(place, { command: ['pg_dump'], withinMs: 1 })).rejects.toMatchObject({
    code: 'failed',
    message: '"pg_dump" in "db" did not end within 1ms',
  });
});
