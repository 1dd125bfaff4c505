import type { AuditFinding } from '../../app/app.ts';
import { quote, shellLine } from '../../model/quote.ts';
import { amount } from '../../model/size.ts';
import { describeFinding, placeOf } from './describe-finding.ts';

/** From this many on, those of one rule are told together. */
const manyFrom = 3;
/** More places than these are not gone through one by one. */
const placesAtMost = 20;
const commandsAtMost = 3;
const width = 100;

/** Findings for people, in their order: those of one rule that says the same of many things are told as one. */
export function describeFindings(findings: readonly AuditFinding[]): string[] {
  const groups = Map.groupBy(findings, ({ id }) => id);
  return [...groups.values()].flatMap((group) =>
    group.length < manyFrom
      ? group.map((finding) => describeFinding(finding, [`See ${finding.guide}`]))
      : describeMany(group),
  );
}

function describeMany(findings: readonly AuditFinding[]): string[] {
  const [first] = findings;
  if (first === undefined) return [];
  const { id, rule, severity, meaning, guide } = first;
  const remedies = [...new Set(findings.map(({ remedy }) => remedy))];
  const commands = [...new Set(findings.flatMap((finding) => finding.commands.map(shellLine)))];
  return [
    [
      `${id} ${rule} (${severity})  ${howMany(findings)}`,
      `  ${meaning}`,
      ...listed(findings),
      ...remedies.map((remedy) => `  ${remedy}.`),
      ...commands.slice(0, commandsAtMost).map((command) => `    $ ${command}`),
      ...(commands.length > commandsAtMost
        ? [`    … and ${commands.length - commandsAtMost} more: "--format json" has each.`]
        : []),
      `  See ${guide}`,
      '',
    ].join('\n'),
  ];
}

/** `200 volumes`, or `4 findings` where one thing has several of them. */
function howMany(findings: readonly AuditFinding[]): string {
  const kinds = new Set(findings.map(({ subject }) => subject.kind));
  const names = new Set(findings.map(({ subject }) => subject.name));
  const [kind = 'finding'] = kinds;
  const word = kinds.size === 1 && names.size === findings.length ? kind : 'finding';
  return amount(findings.length, word, `${word}s`.replace(/ys$/, 'ies'));
}

/** A line for each, with its place, or the names alone where all else that is said of them is equal. */
function listed(findings: readonly AuditFinding[]): string[] {
  const sayings = new Set(
    findings.map(({ message, subject }) => message.replaceAll(quote(subject.name), '…')),
  );
  const isPlaced = findings.length <= placesAtMost && findings.some(({ position }) => position !== undefined);
  const [saying] = sayings;
  if (sayings.size === 1 && saying !== undefined && !isPlaced)
    return [`  ${saying}:`, ...wrapped(findings.map(({ subject }) => quote(subject.name)))];
  return findings.map(
    ({ message, position }) => `    - ${position === undefined ? '' : `${placeOf(position)}: `}${message}.`,
  );
}

function wrapped(words: readonly string[]): string[] {
  const lines: string[] = [];
  for (const [index, word] of words.entries()) {
    const last = lines.at(-1);
    const text = index === words.length - 1 ? word : `${word},`;
    if (last === undefined || last.length + 1 + text.length > width) lines.push(`    ${text}`);
    else lines[lines.length - 1] = `${last} ${text}`;
  }
  return lines;
}
