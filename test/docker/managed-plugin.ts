import { globSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mustRun, runCommand } from '../../scripts/run-command.ts';
import { places } from '../../scripts/plugin/plugin-config.ts';
import { mountsBelow } from '../setup/leftovers.ts';
import type { PrivateEngine } from './private-engine.ts';

/** The plugin as `docker plugin create` takes it: a container that the engine itself starts, and starts again. */
export class ManagedPlugin implements AsyncDisposable {
  readonly driver = 'holdfast-test';
  readonly stateDir: string;
  readonly #engine: PrivateEngine;
  readonly #built: string;

  constructor(
    engine: PrivateEngine,
    { built, stateDir }: { readonly built: string; readonly stateDir: string },
  ) {
    this.#engine = engine;
    this.#built = built;
    this.stateDir = stateDir;
    mkdirSync(stateDir, { recursive: true });
  }

  async install(on: PrivateEngine = this.#engine): Promise<void> {
    await on.docker(['plugin', 'create', this.driver, this.#built]);
    await on.docker(['plugin', 'set', this.driver, `state.source=${this.stateDir}`]);
    await on.docker(['plugin', 'enable', this.driver]);
  }

  async disable(): Promise<void> {
    await this.#engine.docker(['plugin', 'disable', '-f', this.driver]);
    await untilUnmounted(this.#engine);
  }

  async enable(): Promise<void> {
    await this.#engine.docker(['plugin', 'enable', this.driver]);
  }

  async remove(from: PrivateEngine = this.#engine): Promise<void> {
    await from.docker(['plugin', 'rm', '-f', this.driver]);
    await untilUnmounted(from);
  }

  /** The one that sees this state folder as its own. */
  process(): number {
    const found = readdirSync('/proc').find((pid) => /^\d+$/.test(pid) && this.#isSeenBy(pid));
    if (found === undefined) throw new Error('the plugin does not run');
    return Number(found);
  }

  #isSeenBy(pid: string): boolean {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--state-from')) return false;
      const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n');
      // What is mounted is told by its path on its own file system, which may be mounted anywhere.
      return mounts
        .map((line) => line.split(' '))
        .some(
          ([, , , root = '', path]) => path === places.host && root !== '/' && this.stateDir.endsWith(root),
        );
    } catch {
      return false;
    }
  }

  /**
   * Takes its mounts away, also those that are in use, as dockerd does that starts after a crash. What the plugin mounts
   * from then on does not reach the engine: the mount of the data root, which has been a peer too, is private.
   */
  async unmount(from: PrivateEngine = this.#engine): Promise<void> {
    const folder = join(from.dataRoot, 'plugins');
    await mustRun('mount', ['--make-private', from.dataRoot]);
    const left = (): string[] => mountsBelow(folder);
    // Some are below others at the same path, and some go with others, as they are their peers.
    for (let pass = 0; pass < 5 && left().length > 0; pass++)
      for (const path of left()) await runCommand('umount', ['--lazy', path]);
    if (left().length > 0) throw new Error(`still mounted: ${left().join(', ')}`);
  }

  /**
   * Makes a dockerd that starts after a crash slow to take the plugin's own mounts away, as a busy machine does: it takes
   * those of the longest paths first. The plugin's next life is begun meanwhile.
   */
  async delayCleanUp(): Promise<void> {
    const { dataRoot } = this.#engine;
    const [propagated = ''] = globSync('plugins/*/propagated-mount', { cwd: dataRoot });
    for (let index = 0; index < 100; index++) {
      const path = join(dataRoot, dirname(propagated), `before-the-propagated-mount/${index}`);
      mkdirSync(path, { recursive: true });
      await mustRun('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'delay', path]);
    }
  }

  /** What lies in the plugin's own folders when nothing is mounted there: it would go with the plugin. */
  keptInPlugin(): string[] {
    return globSync('plugins/*/{propagated-mount/state,rootfs/var/lib/holdfast,rootfs/published}/*', {
      cwd: this.#engine.dataRoot,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove().catch(() => undefined);
    // Nothing can be made in a place of a mount, and nothing removed.
    await runCommand('chattr', ['-R', '-f', '-i', this.stateDir]);
  }
}

/** dockerd says that a plugin is disabled before it takes its mounts away, and would take those of the next start. */
async function untilUnmounted({ dataRoot }: PrivateEngine): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (mountsBelow(join(dataRoot, 'plugins')).length > 0) {
    if (Date.now() > deadline) throw new Error('dockerd leaves mounts of a plugin that is disabled');
    await sleep(20);
  }
}
