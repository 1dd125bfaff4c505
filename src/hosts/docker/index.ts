export { openEngine } from './docker-host.ts';
export { openEngineRecords } from './engine-records.ts';
export { consumersByPath } from './engine-records.ts';
export { engineEndpoints, type EngineProbe, engineProbes, enginePlace } from './engine-probe.ts';
export { openAtDockersPlace } from './engine-probe.ts';
export { openPodmanHost } from './engine-probe.ts';
