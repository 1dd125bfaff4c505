import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';
import { openDockerHost } from '../../src/hosts/docker/docker-host.ts';
import type { Host } from '../../src/hosts/host.ts';
import { takeLeases } from '../../src/leases/lease.ts';
import { type Work, works } from '../../src/leases/works.ts';
import { Cli } from '../cli/cli.ts';
import { excludes } from '../fixtures/excludes.ts';
import { onEngine } from '../support/on-engine.ts';

const on = onEngine({ host: 'docker' });
const allWorks = Object.keys(works) as Work[];

/** Another process, which holds what a work holds. */
class Holder implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(stateDir: string, dockerHost = '') {
    const program = fileURLToPath(new URL('../support/hold-lease.ts', import.meta.url));
    this.#child = spawn(process.execPath, [program, stateDir, dockerHost], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (this.#child.stdout === null) throw new Error('It has no output');
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Replaces what it held before; undefined for nothing. */
  async hold(work: Work | undefined, name: string): Promise<void> {
    this.#child.stdin?.write(`${JSON.stringify({ work, name })}\n`);
    expect((await this.#lines.next()).value).toBe('held');
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
  }
}

let other: Cli;
let catalog: Catalog & Disposable;
let engineHost: Host;
beforeAll(async () => {
  other = new Cli();
  await other.init();
  await on.cli.run('volume', 'create', 'pg');
  writeFileSync(join(on.cli.root('pg'), 'one'), 'one');
  await on.engine.docker(['volume', 'create', 'pg']);
  writeFileSync(join(on.engine.volumePath('pg'), 'one'), 'one');
  catalog = openSqliteCatalog(join(on.cli.stateDir, 'catalog.db'));
  engineHost = await openDockerHost({ env: { DOCKER_HOST: on.engine.dockerHost } });
});
afterAll(async () => {
  await engineHost?.[Symbol.asyncDispose]();
  catalog?.[Symbol.dispose]();
  other?.[Symbol.dispose]();
});

interface Setting {
  readonly name: string;
  readonly host: 'embedded' | 'docker';
  readonly isOtherFolder: boolean;
}

const settings: readonly Setting[] = [
  { name: 'the embedded host', host: 'embedded', isOtherFolder: false },
  { name: 'an engine', host: 'docker', isOtherFolder: false },
  { name: 'an engine, from another state folder', host: 'docker', isOtherFolder: true },
];

function holderIn({ host, isOtherFolder }: Setting): Holder {
  const { stateDir } = isOtherFolder ? other : on.cli;
  return new Holder(stateDir, host === 'docker' ? on.engine.dockerHost : undefined);
}

describe.each(settings)('on $name', (setting) => {
  const { host, isOtherFolder } = setting;

  test('every two works run at once or exclude each other as the table says', async () => {
    await using holder = holderIn(setting);
    const scope = {
      stateDir: on.cli.stateDir,
      catalog,
      host: host === 'docker' ? async () => engineHost : undefined,
    };
    for (const held of allWorks) {
      await holder.hold(held, 'pg');
      for (const tried of allWorks) {
        const taking = takeLeases(scope, { places: [{ kind: 'volume', name: 'pg' }], work: tried }, {});
        if (!excludes(held, tried)) {
          await using _beside = await taking;
          continue;
        }
        const detail = isOtherFolder ? 'another state folder' : `It began to ${held} it at `;
        await expect(taking, `"${tried}" while another process holds "${held}"`).rejects.toMatchObject({
          code: 'locked',
          message: `Cannot ${tried} "pg": process ${holder.pid} is at work on it`,
          detail: expect.stringContaining(detail) as string,
        });
      }
    }
    await holder.kill();
    await using _free = await takeLeases(
      scope,
      { places: [{ kind: 'volume', name: 'pg' }], work: 'restore' },
      {},
    );
  });

  test('every command takes the lease of its work', async () => {
    await using holder = holderIn(setting);
    const attempt = (args: readonly string[]) =>
      on.cli.attempt(args, { env: { ...on.environment(), HOLDFAST_HOST: host } });
    const archive = join(on.cli.folder, `${host}.tar`);
    const source = `source-${host}`;
    for (const args of [
      ['backup', 'pg'],
      ['restore', 'pg', '--yes'],
      ['volume', 'export', 'pg', '--overwrite', '--output', archive],
      ['volume', 'create', source],
    ]) {
      const { exit, stderr } = await attempt(args);
      expect(exit, stderr).toBe(0);
    }
    const commands: Record<Work, readonly (readonly string[])[]> = {
      'back up': [['backup', 'pg']],
      restore: [['restore', 'pg', '--yes']],
      'undo the restore of': [['undo', 'pg', '--yes']],
      'drop what is kept of': [['undo', 'pg', '--drop', '--yes']],
      migrate: host === 'docker' ? [] : [['volume', 'migrate', source, '--driver', 'gocryptfs', '--yes']],
      remove: [
        ['volume', 'rm', 'pg'],
        ['volume', 'prune', '--all', '--yes'],
      ],
      rename: host === 'docker' ? [] : [['volume', 'rename', 'pg', 'renamed']],
      'import into': [['volume', 'import', 'pg', '--merge', '--input', archive]],
      'clone into': [['volume', 'clone', source, 'pg']],
      'copy into': [['volume', 'cp', archive, 'pg:/archive']],
      clone: [['volume', 'clone', 'pg', 'cloned']],
      'copy from': [['volume', 'cp', 'pg:/one', join(on.cli.folder, 'out')]],
      export: [['volume', 'export', 'pg', '--overwrite', '--output', archive]],
      resize: host === 'docker' ? [] : [['volume', 'resize', 'pg', '64m']],
      'rotate the keys of': host === 'docker' ? [] : [['volume', 'rotate', 'pg']],
      'change the owner of': host === 'docker' ? [] : [['volume', 'own', 'pg', '--owner', '0']],
      'measure the speed of': [['bench', 'pg', '--quick', '--profile', 'files']],
      'run a command with': host === 'docker' ? [] : [['run', '-v', 'pg:/data', '--', 'true']],
    };
    for (const work of allWorks) {
      // Data kept for an undo would prevent "pg" from being migrated.
      const name = work === 'migrate' ? source : 'pg';
      await holder.hold('restore', name);
      for (const args of commands[work]) {
        const { exit, stderr, stdout } = await attempt(args);
        expect(`${stderr}${stdout}`, args.join(' ')).toContain(
          `Cannot ${work} "${name}": process ${holder.pid} is at work on it`,
        );
        expect(exit, args.join(' ')).not.toBe(0);
      }
    }
    await holder.hold('export', 'pg');
    for (const work of allWorks.filter((one) => !excludes('export', one))) {
      for (const args of commands[work]) {
        const { stderr } = await attempt(args);
        expect(stderr, args.join(' ')).not.toContain('is at work on it');
      }
    }
  });
});
