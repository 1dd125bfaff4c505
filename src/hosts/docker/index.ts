export { openEngineRecords } from './engine-records.ts';
export { consumersByPath } from './consumers-by-path.ts';
export { engineEndpoints, type EngineProbe, engineProbes } from './engine-probe.ts';
export { openAtDockersPlace } from './probe-docker.ts';
export { openPodmanHost } from './podman.ts';
