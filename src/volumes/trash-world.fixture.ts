import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DirectoryVolumes, directoryVolumes } from '../../test/support/directory-volumes.ts';
import type { Host } from '../hosts/host.ts';
import type { ManagedVolume, TrashedVolume } from '../hosts/managed-volumes.ts';
import type { Volume } from '../model/volume.ts';
import { type DirectoryHost, openDirectoryHost } from './directory-host.fixture.ts';
import { listTrash, restoreTrash, type RestoreTrashOptions } from './restore-trash.ts';
import { openForeignTrash } from './trash-foreign.ts';

type Call = 'openData' | 'findVolume' | 'createVolume';

interface RestoreTrashRequest extends RestoreTrashOptions {
  readonly host?: Host;
  readonly isOwnWanted?: boolean;
}

/** A trash and an engine, for tests of the way from one to the other. */
export class TrashWorld implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'restore-trash-'));
  readonly stateDir = join(this.folder, 'state');
  readonly managed: DirectoryVolumes = directoryVolumes(join(this.folder, 'ours'));
  readonly engine: DirectoryHost = openDirectoryHost(join(this.folder, 'engine'), 'direct');
  readonly warnings: string[] = [];
  /** Volumes of our own that came back. */
  readonly back: string[] = [];
  readonly parts = {
    managed: this.managed,
    stateDir: this.stateDir,
    onWarning: (message: string) => void this.warnings.push(message),
    isOwnWanted: false,
    ownIsBack: async (volume: ManagedVolume) => void this.back.push(volume.name),
  };

  /** What an engine had, with one file, is in the trash. */
  async trashed(name: string, content: string): Promise<void> {
    const { engine } = this;
    await engine.createVolume({ name, driver: 'local', labels: { env: 'prod' }, options: {} });
    writeFileSync(join(engine.path(name), 'file'), content);
    await this.take(name);
  }

  /** What the engine has goes to the trash. */
  async take(name: string, meanwhile: () => Promise<void> = async () => undefined): Promise<boolean> {
    await using trash = await openForeignTrash(this.parts);
    return await trash.take({ name, path: this.engine.path(name), labels: { env: 'prod' } }, async () => {
      await meanwhile();
      await this.engine.removeVolume(name);
      return true;
    });
  }

  restore(
    which: string,
    { isOwnWanted = false, host = this.docker(), ...options }: RestoreTrashRequest = {},
  ): Promise<string> {
    return restoreTrash({ ...this.parts, host: async () => host, isOwnWanted }, which, options);
  }

  list(): Promise<TrashedVolume[]> {
    return listTrash(this.parts);
  }

  /** An empty volume at the engine. */
  make(name: string): Promise<Volume> {
    return this.engine.createVolume({ name, driver: 'local', labels: {}, options: {} });
  }

  fileOf(name: string): string {
    return readFileSync(join(this.engine.path(name), 'file'), 'utf8');
  }

  async inTrash(): Promise<number> {
    return (await this.managed.listTrash()).length;
  }

  journals(): string[] {
    return readdirSync(join(this.stateDir, 'journal-trash')).filter((name) => name !== 'lock');
  }

  readJournals(): unknown[] {
    return this.journals().map((name) =>
      JSON.parse(readFileSync(join(this.stateDir, 'journal-trash', name), 'utf8')),
    );
  }

  writeJournal(name: string, text: string): void {
    mkdirSync(join(this.stateDir, 'journal-trash'), { recursive: true });
    writeFileSync(join(this.stateDir, 'journal-trash', `${name}.json`), text);
  }

  docker(changes: Partial<Host> = {}): Host {
    return { ...this.engine, kind: 'docker', ...changes };
  }

  /** The engine, of which something else happens at the call `nth` of one of its methods. */
  once<K extends Call>(
    method: K,
    instead: (call: () => ReturnType<Host[K]>) => Promise<Awaited<ReturnType<Host[K]>>>,
    nth = 1,
  ): Host {
    let count = 0;
    const original = this.engine[method] as (...args: unknown[]) => ReturnType<Host[K]>;
    const changed = (...args: unknown[]): unknown => {
      count += 1;
      return count === nth ? instead(() => original(...args)) : original(...args);
    };
    return this.docker({ [method]: changed });
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
