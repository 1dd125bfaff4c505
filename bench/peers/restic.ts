import { join } from 'node:path';
import type { Command, Peer, Place, SaveRequest } from './peer.ts';

/** restic as it is set up by default: encrypted, compressed with zstd. */
export const resticPeer: Peer = {
  name: 'restic',
  programs: ['restic'],
  debianPackages: ['restic'],
  version: ['restic', 'version'],
  prepare: (place) => restic(place, ['init']),
  save,
  saveAgain: save,
  restore: (place, { dataSet, output }) =>
    restic(place, ['restore', 'latest', '--tag', dataSet, '--target', join(output, dataSet)]),
  check: (place) => restic(place, ['check', '--read-data']),
};

/** Runs inside the data, so that the snapshot's root is the data set itself. */
function save(place: Place, { dataSet }: SaveRequest): Command {
  return { ...restic(place, ['backup', '--tag', dataSet, '.']), cwd: join(place.data, dataSet) };
}

function restic({ repository, home }: Place, args: readonly string[]): Command {
  return {
    program: 'restic',
    args: ['--repo', repository, ...args],
    env: { RESTIC_PASSWORD: 'bench', RESTIC_CACHE_DIR: join(home, 'cache') },
  };
}
