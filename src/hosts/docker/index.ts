export { type DockerHostOptions, openDockerHost } from './docker-host.ts';
export { type DockerEndpoint, findDockerEndpoint } from './endpoint.ts';
export { probeDocker, type ProbeOptions } from './probe-docker.ts';
