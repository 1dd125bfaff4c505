import type { Finding } from '../../model/finding.ts';
import { quote, shellLine } from '../../model/quote.ts';

/** A finding for people: what was seen, what it means, what shows it, and what to do. */
export function describeFinding(finding: Finding, further: readonly string[] = []): string {
  const { id, severity, subject, message, meaning, evidence, remedy, commands } = finding;
  return [
    `${id} (${severity}) ${subject.kind} ${quote(subject.name)}`,
    `  ${message}`,
    `  ${meaning}`,
    ...evidence.map((line) => `    - ${line}`),
    `  ${remedy}`,
    ...commands.map((command) => `    $ ${shellLine(command)}`),
    ...further.map((line) => `  ${line}`),
    '',
  ].join('\n');
}
