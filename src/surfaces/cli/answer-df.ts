import { writeSync } from 'node:fs';
import { knownDf } from '../../app/known-df.ts';
import { errnoOf } from '../../model/errors.ts';
import { parseFormat, readConfig } from './config.ts';
import { dfView, orderOf } from './describe-df.ts';
import { type GlobalFlags, globalFlagAt, takeLeadingFlags } from './global-flags.ts';
import { choosePrinter } from './printer.ts';
import { failWith } from './report-error.ts';
import { watchOutput } from './watch-output.ts';

/**
 * Answers `holdfast df` from the catalog while a daemon keeps the sizes in it. False, with nothing said, where that takes an
 * App or an error has to be told: the command then runs as every other does. The bundle has it in a file of its own, since
 * loading what all commands need takes longer than all of this.
 */
export async function answerDf(process: NodeJS.Process): Promise<boolean> {
  const text = await knownText(process).catch(() => undefined);
  if (text === undefined) return false;
  await write(process, text);
  return true;
}

async function knownText({ argv, env }: NodeJS.Process): Promise<string | undefined> {
  const asked = readWords(argv.slice(2));
  if (asked === undefined) return undefined;
  const { flags, sort, names } = asked;
  const order = orderOf(sort);
  const format = parseFormat(flags.format);
  const report = await knownDf(readConfig(flags, env), names);
  // With nothing to list, the host has to be looked at.
  if (report === undefined || report.volumes.length === 0) return undefined;
  let text = '';
  const choice = { format, quiet: flags.quiet ?? false, paint: (_: unknown, plain: string) => plain };
  const printer = choosePrinter(choice, (printed) => (text += printed));
  printer.print(dfView({ ...report, volumes: report.volumes.toSorted(order) }));
  return text;
}

interface Asked {
  readonly flags: GlobalFlags;
  readonly sort: string | undefined;
  readonly names: readonly string[];
}

/** Undefined where the command line's own parser has to judge. */
function readWords(words: readonly string[]): Asked | undefined {
  const leading = takeLeadingFlags(words);
  const [command, ...own] = leading.rest;
  if (command !== 'df') return undefined;
  const names: string[] = [];
  const flags: { -readonly [K in keyof GlobalFlags]: GlobalFlags[K] } & { sort?: string } = {};
  for (let at = 0; at < own.length;) {
    const word = own[at] ?? '';
    const value = own[at + 1];
    const found =
      word === '--sort' && value !== undefined ? { flag: { sort: value }, words: 2 } : globalFlagAt(own, at);
    if (found === undefined) {
      if (word.startsWith('-')) return undefined;
      names.push(word);
      at += 1;
      continue;
    }
    const isTwice = Object.keys(found.flag).some((name) => name in flags);
    if (isTwice || (found.words === 2 && value?.startsWith('-') === true)) return undefined;
    Object.assign(flags, found.flag);
    at += found.words;
  }
  const { sort, ...global } = flags;
  return { flags: { ...leading.flags, ...global }, sort, names };
}

/** At once, since Node.js's streams take three milliseconds to load. One of them takes what a slow reader leaves. */
async function write(process: NodeJS.Process, text: string): Promise<void> {
  let left = Buffer.from(text);
  try {
    while (left.length > 0) left = left.subarray(writeSync(1, left));
  } catch (error) {
    // The reader had enough.
    if (errnoOf(error) === 'EPIPE') return;
    const output = watchOutput(process.stdout);
    process.stdout.write(left);
    const problem = await output.problem();
    if (problem !== undefined) failWith(process, problem);
  }
}
