import { join } from 'node:path';
import type { Peer } from './peer.ts';

/** Compressed archives, as made by scripts around `docker run … tar czf`. */
export const tarPeer: Peer = {
  name: 'tar czf',
  programs: ['tar', 'gzip'],
  version: ['tar', '--version'],
  save: ({ data, repository }, { dataSet }) => ({
    program: 'tar',
    args: ['czf', join(repository, `${dataSet}.tar.gz`), '-C', data, dataSet],
  }),
  restore: ({ repository }, { dataSet, output }) => ({
    program: 'tar',
    args: ['xzf', join(repository, `${dataSet}.tar.gz`), '-C', output],
  }),
};
