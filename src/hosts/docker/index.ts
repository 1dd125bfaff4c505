export { openEngineRecords } from './engine-records.ts';
export { openDockerHost } from './docker-host.ts';
export type { DockerEndpoint } from './endpoint.ts';
export { type EngineProbe, engineProbes } from './engine-probe.ts';
export { openAtDockersPlace, probeDocker } from './probe-docker.ts';
export { openPodmanHost } from './podman.ts';
