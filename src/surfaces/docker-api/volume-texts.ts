import type { ManagedVolume } from '../../app/app.ts';
import { toApiVolume } from './api-volume.ts';

/** Volumes as JSON of the Engine API: the text of an unchanged volume is cached. */
export class VolumeTexts {
  readonly #known = new WeakMap<ManagedVolume, string>();

  of(volume: ManagedVolume): string {
    const known = this.#known.get(volume);
    if (known !== undefined) return known;
    const text = JSON.stringify(toApiVolume(volume));
    this.#known.set(volume, text);
    return text;
  }
}
