import type { Preset, PresetName, PresetSubject, Recognition } from './preset.ts';

/** All of them. */
export const presets: readonly Preset[] = [];

export interface FoundPreset {
  readonly preset: Preset;
  readonly recognition: Recognition;
}

/** The preset that fits best, or undefined. Pure. */
export function findPreset(subject: PresetSubject): FoundPreset | undefined {
  const found = presets.flatMap((preset) => {
    const recognition = preset.recognises(subject);
    return recognition ? [{ preset, recognition }] : [];
  });
  return found.sort((a, b) => rank(b.recognition) - rank(a.recognition))[0];
}

export function presetOf(name: PresetName): Preset | undefined {
  return presets.find((preset) => preset.name === name);
}

function rank({ by }: Recognition): number {
  return { both: 2, image: 1, disk: 0 }[by];
}
