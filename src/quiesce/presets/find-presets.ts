import { mariadb } from './mariadb.ts';
import { mongodb } from './mongodb.ts';
import { postgresql } from './postgresql.ts';
import { redis } from './redis.ts';
import { sqlite } from './sqlite.ts';
import type { Preset, PresetSubject, Recognition } from './preset.ts';

export const presets: readonly Preset[] = [postgresql, mariadb, mongodb, redis, sqlite];

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

export function presetOf(name: string): Preset | undefined {
  return presets.find((preset) => preset.name === name);
}

/** The preset that makes dumps of such names. */
export function presetOfDump(name: string): Preset | undefined {
  return presetOf(name.split('.')[0] ?? '');
}

function rank({ by }: Recognition): number {
  return { both: 2, image: 1, disk: 0 }[by];
}
