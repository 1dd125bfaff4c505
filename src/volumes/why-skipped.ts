import type { Volume } from '../model/volume.ts';

/** Why a volume is left out where it is not named; undefined when it is not. Pure. */
export function whySkipped(volume: Volume): string | undefined {
  for (const label of ['holdfast.backup', 'holdfast.enable']) {
    const text = volume.labels[label];
    if (text !== undefined && /^(?:false|no|off|0)$/i.test(text.trim()))
      return `its label says ${label}=${text}`;
  }
  return volume.driver === 'local' && volume.options['type'] === 'tmpfs' ? 'it is in memory only' : undefined;
}
