export { openDockerHost } from './docker-host.ts';
export type { DockerEndpoint } from './endpoint.ts';
export { probeDocker } from './probe-docker.ts';
