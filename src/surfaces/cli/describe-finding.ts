import path from 'node:path';
import type { Finding, Position } from '../../model/finding.ts';
import { quote, shellLine } from '../../model/quote.ts';

/** A finding for people: what was seen and where, what it means, what shows it, and what to do. */
export function describeFinding(finding: Finding, further: readonly string[] = []): string {
  const { id, rule, severity, subject, message, meaning, evidence, remedy, commands, position } = finding;
  const place = position === undefined ? '' : `  ${placeOf(position)}`;
  return [
    `${id} ${rule} (${severity})  ${subject.kind} ${quote(subject.name)}${place}`,
    `  ${sentence(message)}`,
    `  ${sentence(meaning)}`,
    ...evidence.map((line) => `    - ${line}`),
    `  ${sentence(remedy)}`,
    ...commands.map((command) => `    $ ${shellLine(command)}`),
    ...further.map((line) => `  ${line}`),
    '',
  ].join('\n');
}

/** `compose.yaml:3:5`, from the current folder where that is shorter. */
export function placeOf({ file, line, column }: Position): string {
  const relative = path.relative(process.cwd(), file);
  const shown = relative === '' || relative.startsWith('..') ? file : relative;
  return `${shown}:${line}:${column}`;
}

function sentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}
