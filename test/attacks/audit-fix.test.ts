import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, watch } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import type { DataMove } from '../../src/app/app.ts';
import { openApp } from '../../src/app.ts';
import { isAppError } from '../../src/model/errors.ts';
import { dice, moments, seed, times } from '../faults/seeded.ts';
import { makeStack, type Stack } from '../stacks/stack.ts';
import { onEngine } from '../support/on-engine.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { compile, prepareAttack } from './attacker.ts';
import { makeTree, own } from './swap-scene.ts';

/** The audit's fix, while another program swaps names in its volume, and while it is killed. */

const on = onEngine({ host: 'docker' });

/** Numbers its rows from where they end, so that a row that is lost, or written twice, is seen. */
const counting =
  'trap "exit 0" TERM; cd /srv/data; i=0; [ -f rows ] && i=$(wc -l < rows); while :; do i=$((i+1)); echo $i >> rows; sleep 0.05 & wait $!; done';

beforeAll(async () => {
  const { docker } = on.engine;
  const id = await docker(['create', 'busybox', 'true']);
  const changes = [`VOLUME ["/srv/data"]`, `ENTRYPOINT ${JSON.stringify(['sh', '-c', counting])}`];
  await docker(['commit', ...changes.flatMap((change) => ['--change', change]), id, 'counter:1']);
  await docker(['rm', id]);
});

const before = '      - data:/srv\n';
const after = '      - data:/srv/data\n';
const composeFile = `services:\n  app:\n    image: counter:1\n    stop_grace_period: 5s\n    volumes:\n${before}volumes: { data: }\n`;

interface Shadowed extends Stack {
  readonly file: string;
  /** The folders of the volumes. */
  readonly anonymous: string;
  readonly named: string;
}

/** An app whose rows are beside their volume. */
async function startShadowed(name: string): Promise<Shadowed> {
  const { engine } = on;
  const stack = await makeStack(engine, { name, files: { 'compose.yaml': composeFile } });
  await stack.compose('up', '-d');
  const template = '{{range .Mounts}}{{.Name}} {{end}}';
  const mounts = await engine.docker(['inspect', '-f', template, `${name}-app-1`]);
  const anonymous = engine.volumePath(/[0-9a-f]{64}/.exec(mounts)?.[0] ?? '');
  const named = engine.volumePath(`${name}_data`);
  await expect.poll(() => rowsIn(anonymous).length, { timeout: 60_000 }).toBeGreaterThan(5);
  return { ...stack, file: join(stack.folder, 'compose.yaml'), anonymous, named };
}

function rowsIn(folder: string): string[] {
  try {
    return readFileSync(join(folder, 'rows'), 'utf8').trimEnd().split('\n');
  } catch {
    // A copy that is not there.
    return [];
  }
}

/** Of the one container that runs; throws unless it is one. */
async function liveFolder({ name, anonymous, named }: Shadowed): Promise<string> {
  const running = await on.engine.docker(['ps', '-q', '-f', `label=com.docker.compose.project=${name}`]);
  expect(running.split('\n')).toHaveLength(1);
  expect(running).not.toBe('');
  const template = '{{range .Mounts}}{{if eq .Destination "/srv/data"}}{{.Source}}{{end}}{{end}}';
  const source = await on.engine.docker(['inspect', '-f', template, running]);
  expect([anonymous, named]).toContain(source);
  return source;
}

/** The app runs on all its rows, the file says where they are, and the next "up" changes neither. */
async function expectWhole(stack: Shadowed, rowsBefore: number): Promise<'before' | 'after'> {
  await expect
    .poll(
      () =>
        liveFolder(stack).then(
          () => true,
          () => false,
        ),
      { timeout: 60_000 },
    )
    .toBe(true);
  const content = await readFile(stack.file, 'utf8');
  const live = await liveFolder(stack);
  const isAfter = content === composeFile.replace(before, after);
  expect([content === composeFile, isAfter]).toContain(true);
  expect(live).toBe(isAfter ? stack.named : stack.anonymous);
  await stack.compose('up', '-d');
  expect(await liveFolder(stack)).toBe(live);
  const rows = rowsIn(live);
  expect(rows).toEqual(rows.map((_, index) => String(index + 1)));
  const other = rowsIn(isAfter ? stack.anonymous : stack.named);
  expect(rows.length).toBeGreaterThanOrEqual(Math.max(rowsBefore, other.length));
  return isAfter ? 'after' : 'before';
}

test(
  'killed at any moment, the fix leaves rows and file as before or as after, and the app runs',
  { timeout: 900_000 },
  async () => {
    const fix = (name: string) => ['audit', name, '--fix', '--yes', '--fail-on', 'never'];
    const whole = await startShadowed('whole');
    const began = performance.now();
    await on.run(fix('whole'));
    const tookMs = performance.now() - began;
    expect(await expectWhole(whole, 5)).toBe('after');
    await whole.compose('down', '-v', '-t', '0');
    const when = moments(times({ all: 60, daily: 8 }), dice('kills of the fix'));
    for (const [round, fraction] of when.entries()) {
      const stack = await startShadowed(`killed${round}`);
      const rowsBefore = rowsIn(stack.anonymous).length;
      const command = on.start(fix(stack.name));
      const delayMs = Math.round(fraction * tookMs * 1.05);
      await sleep(delayMs);
      await command.kill();
      // Its Compose, which leads a session of its own, goes on, or is killed as well.
      if (round % 2 === 0) spawnSync('pkill', ['-KILL', '-f', '--', `--project-directory ${stack.folder} `]);
      const { exit, stdout, stderr } = await on.attempt(['recover']);
      const said = `${stdout}\n${stderr}`;
      const isByHand = said.includes('run "docker compose up -d app"');
      // A Compose that was left alone may be at work still.
      if (isByHand)
        await expect
          .poll(
            () =>
              stack.compose('up', '-d', 'app').then(
                () => true,
                () => false,
              ),
            { timeout: 60_000, interval: 1000 },
          )
          .toBe(true);
      else expect(exit, said).toBe(0);
      const state = await expectWhole(stack, rowsBefore);
      console.log(
        `seed ${seed}, ${delayMs} of ${Math.round(tookMs)} ms: ${state}${isByHand ? ', by hand' : ''}`,
      );
      expect((await on.attempt(['recover'])).exit).toBe(0);
      await stack.compose('down', '-v', '-t', '0');
    }
  },
);

test('two fixes at once move the data once', async () => {
  const stack = await startShadowed('twice');
  const rowsBefore = rowsIn(stack.anonymous).length;
  const fix = () => on.attempt(['audit', 'twice', '--fix', '--yes', '--fail-on', 'never']);
  const ended = await Promise.all([fix(), fix()]);
  expect(ended.filter(({ stderr }) => stderr.includes('Mended'))).toHaveLength(1);
  expect(await expectWhole(stack, rowsBefore)).toBe('after');
  await stack.compose('down', '-v', '-t', '0');
});

test('a stage that is swapped with links while the fix copies leads it to none of root’s files', async () => {
  const base = await mkdtemp(join(tmpdir(), 'attacks-'));
  const victim = join(base, 'victim');
  makeTree(victim, 'secret');
  own(victim, { uid: 0, mode: 0o700 });
  const untouched = treeFacts(victim);
  const swapNames = compile('swap-names', base);
  let given = 0;
  for (const what of ['import-stage', 'import-link']) {
    const stack = await startShadowed(`swapped-${what}`);
    const rowsBefore = rowsIn(stack.anonymous).length;
    const outcome = await fixUnder(stack, async (apply) => {
      // As a container does that has the named volume: as root, and locked into it.
      const attacker = await prepareAttack(swapNames, [victim, what, 'chroot'], { uid: 0, cwd: stack.named });
      attacker.begin();
      await apply();
      given += (await attacker.end())['given'] ?? 0;
    });
    expect(treeFacts(victim)).toEqual(untouched);
    for (const folder of [stack.named, stack.anonymous]) expect(stolenIn(folder)).toBe('');
    const state = await expectWhole(stack, rowsBefore);
    console.log(`${what}: ${state}, ${outcome}`);
    await stack.compose('down', '-v', '-t', '0');
  }
  await rm(base, { recursive: true });
  expect(given).toBeGreaterThan(0);
});

test('folders of the data that change places with links while the fix copies lead it to none of root’s files', async () => {
  const base = await mkdtemp(join(tmpdir(), 'attacks-'));
  const victim = join(base, 'victim');
  makeTree(victim, 'secret');
  own(victim, { uid: 0, mode: 0o700 });
  const untouched = treeFacts(victim);
  const swapDirectories = compile('swap-directories', base);
  for (let round = 0; round < times({ all: 20, daily: 2 }); round++) {
    const stack = await startShadowed(`swapped-source${round}`);
    const rowsBefore = rowsIn(stack.anonymous).length;
    const lures = await addLures(stack.anonymous, victim);
    const attacker = await prepareAttack(swapDirectories, [stack.anonymous, lures], { uid: 0, cwd: base });
    let ended: Promise<Readonly<Record<string, number>>> | undefined;
    const outcome = await fixUnder(stack, async (apply) => {
      // Not before the copy: the backup that is made first would not be good, and the fix would end there.
      let hasBegun = false;
      using _watch = watched(stack.named, () => {
        const isCopying = readdirSync(stack.named).some((name) => name.startsWith('.holdfast-'));
        if (isCopying && !hasBegun) attacker.begin();
        hasBegun ||= isCopying;
        if (hasBegun && !isCopying) ended ??= attacker.end();
      });
      await apply();
    });
    const swaps = (await ended)?.['swaps'];
    expect(swaps).toBeGreaterThan(0);
    expect(treeFacts(victim)).toEqual(untouched);
    for (const folder of [stack.named, stack.anonymous]) expect(stolenIn(folder)).toBe('');
    const state = await expectWhole(stack, rowsBefore);
    console.log(`${state}, ${outcome}, ${swaps} swaps while it was copied`);
    await stack.compose('down', '-v', '-t', '0');
  }
  await rm(base, { recursive: true });
});

/**
 * Adds folders to the data, and the links to folders of the victim that are to change places with them. Those are in the
 * volume as well: names change places within one mount only, and the engine's data root is a mount of its own.
 */
async function addLures(data: string, victim: string): Promise<string> {
  makeTree(data, 'first');
  const lures = join(data, 'lures');
  await mkdir(lures);
  for (let index = 0; index < 10; index++) {
    await symlink(join(victim, `d${index}`), join(lures, `d${index}.lure`));
    // So that the copy takes long enough to be attacked.
    for (let file = 0; file < 150; file++)
      await writeFile(join(data, `d${index}/below/more${file}`), 'first');
  }
  return lures;
}

/** Plans the fix, and lets it be applied. Returns what became of it: it may fail with an error for people. */
async function fixUnder(
  stack: Shadowed,
  attack: (apply: () => Promise<void>) => Promise<void>,
): Promise<string> {
  const env = { ...process.env, DOCKER_HOST: on.engine.dockerHost };
  const config = { stateDir: on.cli.stateDir, repository: undefined, host: 'docker', env } as const;
  await using app = openApp({ ...config, dataWay: 'auto', passwordReference: undefined });
  await app.recoverAtStart('host');
  const { moves } = await app.audit.planFix({ target: stack.name, directory: stack.folder });
  expect(moves).toHaveLength(1);
  let outcome = 'moved';
  await attack(async () => {
    await app.audit.applyFix(moves[0] as DataMove).catch((error: unknown) => {
      if (!isAppError(error)) throw error;
      outcome = `${error.message}: ${error.detail}`;
    });
  });
  return outcome;
}

function watched(folder: string, onChange: () => void): Disposable {
  const watcher = watch(folder, onChange);
  return { [Symbol.dispose]: () => watcher.close() };
}

/** The files that hold root's data, links not followed. */
function stolenIn(folder: string): string {
  const { stdout } = spawnSync('grep', ['-rlsa', '-e', '^secret', folder], { encoding: 'utf8' });
  return stdout;
}
