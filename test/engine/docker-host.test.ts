import { afterAll, beforeAll } from 'vitest';
import { describeHost } from '../suites/host-contract.ts';
import { openDockerHost } from '../../src/hosts/docker/docker-host.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';

let engine: PrivateEngine | undefined;
beforeAll(async () => {
  engine = await startPrivateEngine();
});
afterAll(() => engine?.[Symbol.asyncDispose]());

describeHost('a Docker engine, its data read directly,', {
  open: () => openDockerHost({ env: { DOCKER_HOST: engine?.dockerHost }, dataWay: 'auto' }),
});

describeHost('a Docker engine, its data streamed,', {
  open: () => openDockerHost({ env: { DOCKER_HOST: engine?.dockerHost }, dataWay: 'stream' }),
});
