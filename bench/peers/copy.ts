import { join } from 'node:path';
import type { Peer } from './peer.ts';

/** Plain copies: what the disk and the kernel can do. */
export const copyPeer: Peer = {
  name: 'cp -a',
  programs: ['cp'],
  version: ['cp', '--version'],
  save: ({ data, repository }, { dataSet }) => ({
    program: 'cp',
    args: ['-a', join(data, dataSet), join(repository, dataSet)],
  }),
  restore: ({ repository }, { dataSet, output }) => ({
    program: 'cp',
    args: ['-a', join(repository, dataSet), join(output, dataSet)],
  }),
};
