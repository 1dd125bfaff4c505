import type { Peer } from './peer.ts';

/** Docker's own client: it lists volumes, and saves none. */
export const dockerPeer: Peer = {
  name: 'docker',
  programs: ['docker', 'dockerd'],
  debianPackages: ['docker.io', 'docker-cli'],
  version: ['docker', '--version'],
  listVolumes: (_, socket) => ({
    program: 'docker',
    args: ['volume', 'ls', '--quiet'],
    env: { DOCKER_HOST: `unix://${socket}` },
  }),
};
