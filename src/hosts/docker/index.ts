export { openDockerHost } from './docker-host.ts';
export type { DockerEndpoint } from './endpoint.ts';
export { probeDocker } from './probe-docker.ts';
export { openPodmanHost, probePodman } from './podman.ts';
