import type { Command, Peer, Place, SaveRequest } from './peer.ts';

/** BorgBackup with its default compression (lz4) and the quicker of its encrypted modes. */
export const borgPeer: Peer = {
  name: 'borg',
  programs: ['borg'],
  debianPackages: ['borgbackup'],
  version: ['borg', '--version'],
  prepare: (place) => borg(place, ['init', '--encryption', 'repokey-blake2', place.repository]),
  save,
  saveAgain: save,
  restore: (place, { dataSet, serial, output }) => ({
    ...borg(place, ['extract', archive(place, { dataSet, serial })]),
    cwd: output,
  }),
  check: (place) => borg(place, ['check', '--verify-data', place.repository]),
};

function save(place: Place, request: SaveRequest): Command {
  return { ...borg(place, ['create', archive(place, request), request.dataSet]), cwd: place.data };
}

function archive({ repository }: Place, { dataSet, serial }: SaveRequest): string {
  return `${repository}::${dataSet}-${serial}`;
}

function borg({ home }: Place, args: readonly string[]): Command {
  return { program: 'borg', args, env: { BORG_PASSPHRASE: 'bench', BORG_BASE_DIR: home } };
}
