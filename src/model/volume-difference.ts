import { quote } from './quote.ts';
import type { Volume, VolumeSpec } from './volume.ts';

/**
 * How `spec` contradicts `volume`, one line per difference; empty when creating it again would change
 * nothing.
 *
 * Only what the spec states counts: labels that it does not name (Compose adds its own) are no difference,
 * nor are options when it names none, nor the driver when it is ''.
 */
export function volumeDifferences(spec: VolumeSpec, volume: Volume): string[] {
  const lines: string[] = [];
  if (spec.driver !== '' && spec.driver !== volume.driver) {
    lines.push(`driver is ${quote(volume.driver)}, not ${quote(spec.driver)}`);
  }
  const options = Object.keys(spec.options);
  const unasked =
    options.length === 0 ? [] : Object.keys(volume.options).filter((key) => !options.includes(key));
  for (const key of [...options, ...unasked]) {
    addDifference(lines, `option ${quote(key)}`, {
      isSecret: secretName.test(key),
      found: own(volume.options, key),
      asked: own(spec.options, key),
    });
  }
  for (const key of Object.keys(spec.labels)) {
    addDifference(lines, `label ${quote(key)}`, {
      isSecret: secretName.test(key),
      found: own(volume.labels, key),
      asked: own(spec.labels, key),
    });
  }
  return lines;
}

/** Options of drivers that are a password as a whole (`password: p`). */
const secretName = /(?:pass(?:word|wd|phrase)?|secret|token)\d?$/i;

interface Values {
  readonly isSecret: boolean;
  readonly found: string | undefined;
  readonly asked: string | undefined;
}

function addDifference(lines: string[], subject: string, { isSecret, found, asked }: Values): void {
  if (found === asked) return;
  const shown = (value: string): string => (isSecret ? '***' : withoutPasswords(value));
  if (found === undefined) lines.push(`${subject} is not set, but ${shown(asked ?? '')} was asked for`);
  else if (asked === undefined) lines.push(`${subject} is ${shown(found)}, but was not asked for`);
  else lines.push(`${subject} is ${shown(found)}, not ${shown(asked)}`);
}

/** Mount options carry passwords (`o=username=u,password=p`), and messages end up in logs. */
function withoutPasswords(value: string): string {
  return quote(value.replace(/(^|,)((?:password|pass)\d?=)[^,]*/gi, '$1$2***'));
}

function own(record: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
