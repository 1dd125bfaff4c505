import type { Host } from '../hosts/host.ts';
import type { VolumeEngine } from './volume-engine.ts';

export interface EngineParts {
  readonly host: Host;
}

/** The lifecycle of the volumes of one host. The host stays its owner's to close. */
export function openEngine(parts: EngineParts): VolumeEngine {
  void parts;
  throw new Error('Not there yet.');
}
