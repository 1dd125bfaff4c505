import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { factsOfKind, storageKind } from '../../model/storage-kind.ts';
import type { PluginVolumes } from './answer-plugin.ts';

interface Storage {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
}

/**
 * The volumes that a managed plugin, which is a container, may serve. Refuses storage that would lie in the
 * container, and be lost with it, or stop with it under the containers that use it. Calls `prepare` before
 * anything is mounted or made.
 */
export function containedVolumes(volumes: PluginVolumes, prepare: () => Promise<void>): PluginVolumes {
  return {
    async create(spec, options) {
      refuse(spec, `create volume ${quote(spec.name ?? '')}`);
      await prepare();
      return await volumes.create(spec, options);
    },
    async mount(name, id, options) {
      const found = await volumes.find(name);
      // A command on the host may have made it.
      if (found !== undefined) refuse(found, `mount volume ${quote(name)}`);
      await prepare();
      return await volumes.mount(name, id, options);
    },
    find: (name) => volumes.find(name),
    list: () => volumes.list(),
    remove: (name, options) => volumes.remove(name, options),
    unmount: (name, id, options) => volumes.unmount(name, id, options),
    label: (name, labels, options) => volumes.label(name, labels, options),
    health: (name) => volumes.health(name),
    lastHealth: (name) => volumes.lastHealth(name),
    reconcile: (options) => volumes.reconcile(options),
  };
}

function refuse(storage: Storage, action: string): void {
  const reason = reasonAgainst(storage);
  if (reason === undefined) return;
  throw new AppError('unsupported', `Cannot ${action}: ${reason}`, {
    hint: 'Run "holdfast plugin" as a service of the host for such volumes.',
  });
}

function reasonAgainst({ driver, options }: Storage): string | undefined {
  const kind = storageKind({ driver, options });
  const { device } = options;
  const { isServed, isAtPath } = factsOfKind(kind);
  if (isServed) {
    return `a volume of type ${quote(kind)} is served by a program, which would end with the managed plugin`;
  }
  if (!isAtPath || device === undefined || isDevice(device)) return undefined;
  return `the managed plugin does not see the path ${quote(device)} of the host`;
}

function isDevice(path: string): boolean {
  return path.startsWith('/dev/') && !path.split('/').includes('..');
}
