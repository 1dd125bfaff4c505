import { chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunResult } from '../../scripts/run-command.ts';
import type { Finding } from '../../src/model/finding.ts';
import { Cli } from '../cli/cli.ts';
import { type RootlessEngine, startRootlessEngine } from '../docker/rootless-engine.ts';
import { command } from '../support/holdfast-command.ts';

let engine: RootlessEngine;
let cli: Cli;
beforeAll(async () => {
  engine = await startRootlessEngine();
  cli = new Cli();
});
afterAll(async () => {
  cli?.[Symbol.dispose]();
  await engine?.[Symbol.asyncDispose]();
});

const composeFile = `services:
  app: &app
    image: busybox
    command: sleep 1000
    init: true
    network_mode: none
    stop_grace_period: 0s
    user: '1000:1000'
    volumes: ['./data:/data', 'named:/named']
  root:
    <<: *app
    user: '0'
    volumes: ['./roots:/data']
volumes: { named: }
`;

test('what "compose prepare" makes for an engine without root can be written by its services', async () => {
  const folder = join(engine.home, 'stack');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'compose.yaml'), composeFile);
  chownSync(folder, engine.user, engine.user);
  const env = {
    ...process.env,
    HOLDFAST_HOST: 'docker',
    HOLDFAST_STATE_DIR: cli.stateDir,
    DOCKER_HOST: engine.dockerHost,
  };
  const run = (...words: [string, ...string[]]): Promise<RunResult> =>
    engine.inside(words, { cwd: folder, env });
  const touch = (service: string, path: string): Promise<RunResult> =>
    run('docker-compose', 'exec', '-T', service, 'touch', path);

  const prepared = await run(command, 'compose', 'prepare', '--yes');
  expect(prepared.exitCode, prepared.output).toBe(0);
  const ownerOf = (path: string): number => statSync(join(folder, path)).uid;
  expect([ownerOf('data'), ownerOf('roots')]).toEqual([engine.firstSubordinate + 999, engine.user]);
  const started = await run('docker-compose', 'up', '-d');
  expect(started.exitCode, started.output).toBe(0);
  for (const service of ['app', 'root'])
    expect(await touch(service, '/data/file')).toMatchObject({ exitCode: 0 });
  expect(await run(command, 'compose', 'check')).toMatchObject({ exitCode: 0 });

  // The volume belongs to the root of the containers, who is not the machine's.
  expect((await touch('app', '/named/file')).output).toContain('Permission denied');
  const { stdout } = await run(command, 'audit', '--format', 'json');
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
  expect(findings.filter(({ id }) => id === 'HF-S005').map(({ subject }) => subject.name)).toEqual(['app']);
});
