import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { mountAtPath, roomAt } from './mount-point.ts';
import type { Driver, DriverCall, DriverVolume } from './driver.ts';
import { answers, canBeRead, namedVolume, unmountOrDetach } from './mount-answers.ts';
import { checkOptions, mountWord, mountWords, type Options } from './mount-options.ts';
import { type NfsTarget, probeNfs } from './nfs-probe.ts';
import { patienceMs, waitForServer } from './probe-server.ts';

/** A directory that a server exports: `type=nfs,o=addr=10.0.0.5,rw,device=:/export`, in Docker's syntax. */
export const nfsDriver: Driver = {
  kind: 'nfs',

  check(options) {
    checkOptions(options, { kind: 'nfs', known: ['device', 'o', 'wait'], required: ['device'] });
    nfsTarget(options);
    if (options['wait'] !== undefined && !/^\d{1,3}$/.test(options['wait']))
      throw new AppError(
        'usage',
        `invalid value for option "wait": ${quote(options['wait'])} is no number of seconds`,
      );
    return options;
  },

  traits: () => ({ isMounted: true, isElsewhere: true, isFleeting: false, canGoStale: true }),

  // The server may not be up yet: everything that can be known now has been checked.
  create: async () => undefined,
  remove: async () => undefined,

  async mount(volume, call) {
    await requireServer(volume, call);
    const { source, type, words } = nfsMount(volume.options);
    await mountAtPath(
      { source, target: volume.mountpoint, type, words, name: volume.name, timeoutMs: 80_000 },
      call,
    );
  },

  unmount: (volume, call) => unmountOrDetach(volume, call),

  async health(volume, { isMounted }) {
    if (isMounted) return await canBeRead(volume.mountpoint);
    try {
      await probeNfs(nfsTarget(volume.options));
      return { status: 'good', message: undefined };
    } catch (error) {
      return { status: 'unreachable', message: error instanceof Error ? error.message : undefined };
    }
  },

  async usage(volume) {
    const { status } = await answers(volume.mountpoint);
    return status === 'good' ? await roomAt(volume.mountpoint) : undefined;
  },
};

async function requireServer(volume: DriverVolume, { signal }: DriverCall = {}): Promise<void> {
  const target = nfsTarget(volume.options);
  const waitMs = patienceMs(volume.options['wait']);
  await namedVolume(`Cannot mount volume ${quote(volume.name)}`, () =>
    waitForServer(() => probeNfs(target, { signal }), { waitMs, signal }),
  );
}

/** What to probe before the mount. */
export function nfsTarget(options: Options): NfsTarget {
  const { host, path } = splitDevice(options);
  const port = Number(mountWord(options, 'port') ?? 2049);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new AppError('usage', `invalid port in "o": ${quote(mountWord(options, 'port') ?? '')}`);
  const version = versionOf(options);
  return { host, port, path, service: 'NFS', versions: version === undefined ? [4, 3] : [version] };
}

/** The arguments for mount(8). */
export function nfsMount(options: Options): { source: string; type: string; words: string[] } {
  const { host, path } = splitDevice(options);
  const words = mountWords(options).filter((word) => !word.startsWith('addr='));
  // The server has been probed: mount's own timeout of two minutes would only hide the problem.
  const isPatient = words.some((word) => word.startsWith('retry=') || word === 'bg');
  const source = `${host.includes(':') ? `[${host}]` : host}:${path}`;
  const type = options['type'] === 'nfs4' ? 'nfs4' : 'nfs';
  return { source, type, words: isPatient ? words : [...words, 'retry=0'] };
}

function versionOf(options: Options): number | undefined {
  const said = mountWord(options, 'nfsvers') ?? mountWord(options, 'vers');
  const fallback = options['type'] === 'nfs4' ? 4 : undefined;
  if (said === undefined)
    return mountWords(options).some((word) => word === 'v3' || word === 'nfsv3') ? 3 : fallback;
  if (/^(?:3|4|4\.[0-2])$/.test(said)) return Math.trunc(Number(said));
  throw new AppError('usage', `There is no NFS version ${quote(said)} here`, {
    hint: 'Choose from 3, 4, 4.0, 4.1 and 4.2.',
  });
}

/** `server:/path`, `[::1]:/path`, or `:/path` with the server in `addr=`. */
function splitDevice(options: Options): { host: string; path: string } {
  const device = options['device'] ?? '';
  const match = /^(?:\[([0-9a-fA-F:.]+(?:%[^\]]+)?)\]|([^:/[\]]*)):(\/.*)$/.exec(device);
  if (match === null) {
    throw new AppError('usage', `invalid device: ${quote(device)} is not SERVER:/PATH`, {
      hint: 'Write it as "server:/export", or ":/export" with addr=SERVER in "o".',
    });
  }
  const host = (match[1] ?? match[2] ?? '') || (mountWord(options, 'addr') ?? '');
  if (host === '') {
    throw new AppError('usage', 'It is not said which server: "device" has none, and "o" has no addr=', {
      hint: 'Write "-o device=server:/export", or "-o o=addr=server,rw -o device=:/export".',
    });
  }
  return { host, path: match[3] ?? '/' };
}
