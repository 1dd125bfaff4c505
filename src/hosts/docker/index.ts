export { openEngineRecords } from './engine-records.ts';
export { openDockerHost } from './docker-host.ts';
export type { DockerEndpoint } from './endpoint.ts';
export { consumersByPath } from './consumers-by-path.ts';
export { engineEndpoints, type EngineProbe, engineProbes } from './engine-probe.ts';
export { openAtDockersPlace, probeDocker } from './probe-docker.ts';
export { openPodmanHost } from './podman.ts';
