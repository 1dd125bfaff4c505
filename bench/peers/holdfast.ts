import { join } from 'node:path';
import type { Command, Peer, Place, SaveRequest } from './peer.ts';

/** The real command of this checkout or installation, as a user starts it. */
const program = join(import.meta.dirname, '../../bin/holdfast');

export const holdfastPeer: Peer = {
  name: 'Holdfast',
  programs: [program],
  version: [program, '--version'],
  prepare: (place) => holdfast(place, ['init', '--repo', place.repository]),
  save,
  saveAgain: save,
  restore: (place, { dataSet, output }) =>
    holdfast(place, [
      'restore',
      `${join(place.data, dataSet)}@latest`,
      '--to',
      join(output, dataSet),
      '--yes',
    ]),
  check: (place) => holdfast(place, ['check', '--read-data']),
  listVolumes: (place, socket) => {
    const { args, env } = holdfast(place, ['volume', 'ls', '--quiet']);
    return { program, args, env: { ...env, HOLDFAST_HOST: 'docker', DOCKER_HOST: `unix://${socket}` } };
  },
};

function save(place: Place, { dataSet }: SaveRequest): Command {
  return holdfast(place, ['backup', join(place.data, dataSet)]);
}

function holdfast({ home }: Place, args: readonly string[]): Command {
  return { program, args, env: { HOLDFAST_STATE_DIR: join(home, 'state'), HOLDFAST_HOST: 'embedded' } };
}
