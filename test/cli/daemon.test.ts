import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startWebhookServer } from '../fixtures/webhook-server.ts';
import { Cli } from './cli.ts';
import { command } from '../support/holdfast-command.ts';

let cli: Cli;
let root: string;
const started: ChildProcess[] = [];
beforeEach(async () => {
  cli = new Cli();
  await cli.init();
  root = await cli.volume('pg');
  writeFileSync(join(root, 'data'), 'one');
});
afterEach(async () => {
  for (const child of started.splice(0))
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
  cli[Symbol.dispose]();
});

/** A daemon in the foreground, with its output. */
class Daemon {
  said = '';
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;

  constructor() {
    this.child = spawn(command, ['daemon', '--grace', '20s'], {
      env: { ...process.env, HOLDFAST_STATE_DIR: cli.stateDir, HOLDFAST_HOST: 'embedded', TZ: 'UTC' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    started.push(this.child);
    this.child.stderr?.on('data', (chunk: Buffer) => (this.said += chunk.toString()));
    this.ended = once(this.child, 'close').then(([code]) => code as number | null);
  }

  async until(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
    for (let tries = 0; tries < 1800; tries++) {
      if (await isTrue()) return;
      await sleep(100);
    }
    throw new Error(`The daemon did not come to ${what}: ${this.said}`);
  }

  async says(text: string): Promise<void> {
    await this.until(() => this.said.includes(text), `say "${text}"`);
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return await this.ended;
  }
}

function configure(yaml: string): void {
  writeFileSync(join(cli.stateDir, 'holdfast.yaml'), yaml);
}

const everyTwoSeconds = `policies:\n  often: { schedule: '*/2 * * * * *', keep: { last: 2 } }\n`;

interface ShowJson {
  readonly history: readonly {
    readonly action: string;
    readonly scheduledAt: string;
    readonly end: { readonly outcome: string } | null;
  }[];
}

async function history(): Promise<ShowJson['history']> {
  return (await cli.json<ShowJson>('policy', 'show', 'often')).history.filter(
    ({ action }) => action === 'backup',
  );
}

describe('holdfast daemon', () => {
  test('backs up at its times, thins out, includes new volumes, and ends cleanly on request', async () => {
    configure(everyTwoSeconds);
    const daemon = new Daemon();
    await daemon.says('The daemon runs.');
    expect(await cli.run('policy', 'next')).toContain(`The daemon runs: process ${daemon.child.pid}`);
    // On a busy machine several at once.
    await daemon.until(() => /"pg": .*snapshots? (is|are) forgotten/.test(daemon.said), 'forget');
    expect(await daemon.end()).toBe(0);
    expect(daemon.said).toContain('The daemon has ended.');
    const runs = await history();
    expect(runs.length).toBeGreaterThanOrEqual(3);
    expect(runs.filter(({ end }) => end === null)).toEqual([]);
    const times = runs.map(({ scheduledAt }) => scheduledAt);
    expect(new Set(times).size).toBe(times.length);
    expect((await cli.ids('pg')).length).toBeLessThanOrEqual(4);
    await cli.run('check');
  });

  test('metrics are refused on an address that other machines reach, unless that is said', async () => {
    configure(everyTwoSeconds);
    expect(await cli.attempt(['daemon', '--metrics', '0.0.0.0:9464'])).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('Other machines could read the metrics at 0.0.0.0'),
    });
    expect(await cli.attempt(['daemon', '--metrics', 'example.org:80'])).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('is no address to listen at'),
    });
  });

  test('an address in holdfast.yaml that other machines reach costs the metrics, and no backup', async () => {
    configure(`${everyTwoSeconds}daemon: { metrics: { listen: '[::]:9464' } }\n`);
    const daemon = new Daemon();
    await daemon.says('Warning: no metrics: Other machines could read the metrics at ::');
    await daemon.says('saved as');
    expect(daemon.said).not.toContain('Metrics are served');
    expect(await daemon.end()).toBe(0);
  });

  test('a second one for the same state folder is refused', async () => {
    configure(everyTwoSeconds);
    const daemon = new Daemon();
    await daemon.says('The daemon runs.');
    const second = await cli.attempt(['daemon']);
    expect(second).toMatchObject({ exit: 5, stderr: expect.stringContaining('runs the policies of') });
    expect(second.stderr).toContain(`It is process ${daemon.child.pid}`);
    await daemon.end();
    const third = new Daemon();
    await third.says('The daemon runs.');
    expect(await third.end()).toBe(0);
  });

  test('after a kill the next daemon finishes what was interrupted, and does nothing twice', async () => {
    configure(everyTwoSeconds);
    for (let kill = 0; kill < 4; kill++) {
      const daemon = new Daemon();
      await daemon.says('The daemon runs.');
      await sleep(1500 + kill * 700);
      await daemon.end('SIGKILL');
    }
    const last = new Daemon();
    await last.says('saved as');
    expect(await last.end()).toBe(0);
    const runs = await history();
    expect(runs.filter(({ end }) => end === null)).toEqual([]);
    const good = runs.filter(({ end }) => end?.outcome === 'good').map(({ scheduledAt }) => scheduledAt);
    expect(new Set(good).size).toBe(good.length);
    await cli.run('check', '--read-data');
  });

  test('SIGHUP makes it reload its configuration; an invalid one leaves the previous in force', async () => {
    configure(`policies: {}\n`);
    const daemon = new Daemon();
    await daemon.says('The daemon runs.');
    configure('policies: [');
    daemon.child.kill('SIGHUP');
    await daemon.says('the one before stays in force');
    configure(everyTwoSeconds);
    daemon.child.kill('SIGHUP');
    await daemon.says('"pg": saved as');
    expect(await daemon.end()).toBe(0);
  });

  test('an unreachable repository does not end it: it continues when the repository is back', async () => {
    configure(everyTwoSeconds);
    const { rename } = await import('node:fs/promises');
    await rename(cli.repository, `${cli.repository}.away`);
    const daemon = new Daemon();
    await daemon.says('it is tried again');
    await rename(`${cli.repository}.away`, cli.repository);
    await daemon.says('"pg": saved as');
    expect(await daemon.end()).toBe(0);
  });

  test('prunes once a newer snapshot is verified, and not while a volume looks damaged', async () => {
    const prunes = `policies:\n  often: { schedule: '*/8 * * * * *', keep: { last: 1 }, prune: '*/10 * * * * *' }\n`;
    configure(prunes);
    writeFileSync(join(root, 'data'), randomBytes(6 << 20));
    const daemon = new Daemon();
    await daemon.says('"pg": one snapshot is forgotten');
    await daemon.says('prune of "default": good');
    writeFileSync(join(root, 'data'), 'all gone');
    await daemon.says('"pg" shrank from 6.3 MB to 8 B');
    await daemon.says('prune of "default": waiting, "pg" shrank');
    const before = await cli.ids('pg');
    expect(before.length).toBeGreaterThan(1);
    const size = daemon.said.length;
    await cli.run('policy', 'accept', 'pg');
    await daemon.until(() => /snapshots? (is|are) forgotten/.test(daemon.said.slice(size)), 'forget again');
    expect(await daemon.end()).toBe(0);
    // The newest one, and the newest verified one.
    expect((await cli.ids('pg')).length).toBeLessThanOrEqual(2);
    await cli.run('check', '--read-data');
  });

  test('a broken, empty or missing file ends nothing and is reported, by the previous channels, after a restart as well', async () => {
    await using server = await startWebhookServer();
    const yaml = `${everyTwoSeconds}notify: { chat: { type: webhook, url: '${server.origin}' } }\n`;
    const file = join(cli.stateDir, 'holdfast.yaml');
    const heard = (text: string): Promise<void> =>
      daemon.until(() => server.received.some(({ body }) => body.includes(text)), `tell of "${text}"`);
    const saves = (): number => daemon.said.split('"pg": saved as').length - 1;
    const savesAgain = async (): Promise<void> => {
      const before = saves();
      await daemon.until(() => saves() > before + 1, 'save again');
    };
    configure(yaml);
    let daemon = new Daemon();
    await daemon.says('"pg": saved as');
    // Nothing has requested a reload.
    configure('policies: [');
    await savesAgain();
    daemon.child.kill('SIGHUP');
    await daemon.says('the one before stays in force');
    await heard('cannot be used');
    await savesAgain();
    for (const [change, text] of [
      [() => configure('# nothing\n'), 'it is empty'],
      [() => rmSync(file), 'is gone'],
      [() => mkdirSync(file), 'Cannot read the configuration file'],
    ] as const) {
      change();
      daemon.child.kill('SIGHUP');
      await daemon.says(text);
      await savesAgain();
    }
    expect(await daemon.end()).toBe(0);
    server.received.length = 0;
    daemon = new Daemon();
    await daemon.says('the one before stays in force');
    await savesAgain();
    // A command by hand reports it at once, and also notifies, as a timer would have to.
    const byHand = await cli.attempt(['backup', 'pg']);
    expect(byHand).toMatchObject({
      exit: 1,
      stderr: expect.stringContaining('Cannot read the configuration file'),
    });
    await heard('Backup of \\"pg\\" failed');
    rmdirSync(file);
    configure(yaml);
    daemon.child.kill('SIGHUP');
    await heard('works again');
    expect(await daemon.end()).toBe(0);
    expect(daemon.said).not.toMatch(/could be told|could not be reported/);
  });

  test('a configuration that cannot be used is refused at the start', async () => {
    configure('policies: { a: { schedule: never } }');
    expect(await cli.attempt(['daemon'])).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('holdfast.yaml:1:28'),
    });
  });
});
