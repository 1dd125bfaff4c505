import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** One command of a guide, as a reader types it, and what the guide says that it prints. */
export interface GuideStep {
  readonly command: string;
  readonly shown: readonly string[];
  /** True for the last command of a block that begins with ```` ```console fails ````. */
  readonly fails: boolean;
  /** True in a block that begins with ```` ```console varies ````: measurements, of which no two are alike. */
  readonly varies: boolean;
  /** Of the command, from 1. */
  readonly line: number;
}

/** A file that the guide tells its reader to write: a block that begins with ```` ```yaml NAME ````. */
export interface GuideFile {
  readonly name: string;
  readonly content: string;
}

export type GuidePart = GuideStep | GuideFile;

export function readGuide(text: string): GuidePart[] {
  const lines = text.split('\n');
  const parts: GuidePart[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const [, language = '', rest = ''] = /^```(\w+) ?(.*)$/.exec(lines[at] ?? '') ?? [];
    if (language === '') continue;
    const end = lines.indexOf('```', at + 1);
    const block = lines.slice(at + 1, end);
    if (language === 'console') parts.push(...stepsOf(block, { first: at + 2, flag: rest }));
    else if (rest !== '') parts.push({ name: rest, content: `${block.join('\n')}\n` });
    at = end;
  }
  return parts;
}

function stepsOf(block: readonly string[], { first, flag }: { first: number; flag: string }): GuideStep[] {
  const starts = block.flatMap((line, index) => (line.startsWith('$ ') ? [index] : []));
  return starts.map((start, index) => {
    const lines = block.slice(start, starts[index + 1]);
    const commandLines = 1 + lines.findIndex((line) => !line.endsWith('\\'));
    return {
      command: lines.slice(0, commandLines).join('\n').slice(2),
      shown: lines.slice(commandLines),
      fails: flag === 'fails' && index === starts.length - 1,
      varies: flag === 'varies',
      line: first + start,
    };
  });
}

export interface GuideRun {
  /** The mount namespace of this process is that of the reader. */
  readonly pid: number;
  /** The reader's home, by its place there and here. */
  readonly home: { readonly there: string; readonly here: string };
  readonly env: NodeJS.ProcessEnv;
}

export interface StepResult {
  readonly exitCode: number;
  /** Standard output and error, as a terminal shows them. */
  readonly printed: string[];
}

/** Runs a step as its reader does: by a shell, which stays in the folder that it has gone to. */
export async function runStep(
  { command }: Pick<GuideStep, 'command'>,
  { pid, home, env }: GuideRun,
): Promise<StepResult> {
  const memory = `${home.there}/.folder`;
  const goOn = `cd "$(cat ${memory} 2>/dev/null || echo ${home.there})"\ntrap 'pwd > ${memory}' EXIT`;
  const script = `exec 2>&1\n${goOn}\n${command}`;
  const args = [`--mount=/proc/${pid}/ns/mnt`, '--', 'bash', '-euo', 'pipefail', '-c', script];
  return await new Promise((resolve) => {
    execFile('nsenter', args, { env, maxBuffer: 16 << 20 }, (error, stdout) => {
      const printed = stdout
        .split('\n')
        .map((line) => line.trimEnd())
        .filter((line) => !isProgress(line));
      while (printed.at(-1) === '') printed.pop();
      resolve({ exitCode: error === null ? 0 : Number(error.code ?? 1), printed });
    });
  });
}

/** How far a long work has come, which a fast machine does not print. */
function isProgress(line: string): boolean {
  const amount = String.raw`[\d.,]+ [kMGT]?B`;
  return new RegExp(
    String.raw`^[A-Z]\w+: (.*, )?${amount}( of ${amount})?, [\d,]+( of [\d,]+)? files?(,| {2}|$)`,
  ).test(line);
}

export function writeGuideFile({ name, content }: GuideFile, { home }: GuideRun): void {
  const path = join(home.here, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** What two runs may print differently: ids, times, durations, amounts, and the room that these take. */
export function comparable(line: string): string {
  return line
    .replaceAll(/\b[0-9a-f]{8,64}\b/g, 'ID')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME')
    .replaceAll(/\b(\d+ (seconds?|minutes?)( ago)?|just now)/g, 'AGE')
    .replaceAll(/\b\d[\d,.]*\s?(ms|s|min|[kMG]i?B|B|%)(?!\w)/g, 'N')
    .replaceAll(/\d[\d,.]*/g, 'N')
    .replaceAll(/\bN (\w+?)s?\b/g, 'N $1')
    .replaceAll(/[─-]{2,}/g, '-')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

/** Puts what was printed in the place of what the guide shows. */
export function updateGuide(path: string, results: ReadonlyMap<number, StepResult>): void {
  const lines = readFileSync(path, 'utf8').split('\n');
  const steps = readGuide(lines.join('\n')).filter((part): part is GuideStep => 'command' in part);
  for (const { line, command, shown } of steps.toReversed()) {
    const printed = results.get(line)?.printed;
    const after = line - 1 + command.split('\n').length;
    if (printed !== undefined) lines.splice(after, shown.length, ...printed);
  }
  writeFileSync(path, lines.join('\n'));
}
