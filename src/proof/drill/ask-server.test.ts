import { expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import { askServer } from './ask-server.ts';

test('a command that does not end fails the drill, and does not block it', async () => {
  const containers = memoryContainers();
  const container = containers.add({ name: 'db', health: 'healthy' });
  containers.onExec(() => undefined);
  const question = { containers, container, mountPath: '/data', found: undefined, command: ['ask'] };
  const answer = await askServer({ ...question, readyWithinMs: 0, commandWithinMs: 20 }, {});
  expect(answer).toMatchObject({ isHealthy: false, asked: ['its health check', 'ask'] });
  expect(answer.problems.join()).toContain('"ask" in "db" did not end within');
});
