import { join } from 'node:path';
import type { Peer } from './peer.ts';

/** Compressed archives: what scripts around `docker run … tar czf` do. */
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
