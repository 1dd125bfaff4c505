/**
 * Keeps data still while it is read or swapped, and brings back what ran: finds the writers, pauses, stops, freezes, asks
 * applications (`presets/`), runs hooks. Writes down durably what it is about to hold before it holds it. Begin with
 * `consistency.ts` (which way, pure) and `quiesce.ts`; `still-containers.ts` begins with containers, and `still-session.ts` holds them.
 */
export { takeLeftJournals, type AppJournal, type OpenAppJournal } from './app-journal.ts';
export { canClone } from './can-clone.ts';
export { chooseWays, type ConsistencyChoice, type Strength } from './choose-ways.ts';
export {
  planBound,
  planTogether,
  type QuiesceBound,
  type QuiescePlan,
  type Situation,
} from './consistency.ts';
export { ownLabels, ownStack, settingsOfContainer } from './container-labels.ts';
export { hasHookJournals } from './hooks/hook-journal.ts';
export type { HookMeans, HookOutcome } from './hooks/hook-run.ts';
export { recoverHooks, type DueHook, type RecoverHooksOptions } from './hooks/recover-hooks.ts';
export { tellOfHooks } from './hooks/tell-of-hooks.ts';
export { findHostWriters } from './host-writers.ts';
export { isEmptyData, liveEntries, type LiveData } from './live-tree.ts';
export { nameApps } from './name-apps.ts';
export { pathConsumers } from './path-consumers.ts';
export type { AppStep, Unstoppable } from './plan-containers.ts';
export { openApplicationSession, type ApplicationSession } from './presets/application-session.ts';
export { readDiskEvidence } from './presets/disk-evidence.ts';
export { parseImageName } from './presets/image-name.ts';
export { findPreset, presetOfDump, type FoundPreset } from './presets/find-presets.ts';
export {
  planApplication,
  type ApplicationVolume,
  type ApplicationSettings,
  type PlannedServer,
} from './presets/plan-application.ts';
export type { DiskEvidence, Preset } from './presets/preset.ts';
export { readContainerFile, runClient, type ClientPlace, type ClientRequest } from './presets/run-client.ts';
export { putBack } from './put-back.ts';
export { putBackAtOnce, putBackLeft, type PutBackLeftOptions } from './put-back-left.ts';
export {
  quiesce,
  type PlaceEvidence,
  type QuiesceEvidence,
  type QuiescePlace,
  type QuiesceSession,
} from './quiesce.ts';
export { activeRefusal, refuseActive } from './refuse-active.ts';
export {
  findConsumers,
  isUp,
  planStops,
  planStopsAt,
  unstoppableHint,
  type Place,
  type PlannedStops,
} from './restore-consumers.ts';
export { noteRefusal, startOnce, type StartRefusal } from './start-refusal.ts';
export { makeStill } from './still-containers.ts';
export type { KilledApp, StillContainers } from './still-session.ts';
export {
  isActiveContainer,
  lookAround,
  lookAroundFree,
  pathContainers,
  placesOf,
  runs,
  volumeContainers,
  writersIn,
  type Surroundings,
} from './volume-containers.ts';
