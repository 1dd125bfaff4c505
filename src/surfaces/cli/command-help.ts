import type { Command, RouteMap } from '@stricli/core';
import type { CliContext } from './context.ts';

/** What help shows of a flag. */
export interface ShownFlag {
  readonly brief: string;
  /** Of its value; a switch has none. */
  readonly placeholder?: string;
  /** It may be given several times. */
  readonly variadic?: boolean;
  /** Its value may be left out. */
  readonly inferEmpty?: boolean;
  readonly hidden?: boolean;
}

type HelpArguments = Parameters<Command<CliContext>['formatHelp']>[0];

const widest = 80;
const firstFlag = /^FLAGS\n/m;

/** The library's help, but for the list of flags, which does not say which of them take a value, and for long lines. */
export function withPlaceholders(
  command: Command<CliContext>,
  flags: Readonly<Record<string, ShownFlag>>,
  aliases: Readonly<Record<string, string | undefined>>,
): Command<CliContext> {
  const formatHelp = command.formatHelp.bind(command);
  // Into the command: a copy of it would read its whole help text.
  return Object.assign(command, {
    formatHelp: (args: HelpArguments) => {
      const text = formatHelp(args);
      const start = text.search(firstFlag);
      const end = text.indexOf('\n\n', start);
      const rest = end < 0 ? '\n' : wrapRows(text.slice(end));
      const lines = formatFlags(flags, aliases, args);
      return `${text.slice(0, start).replaceAll(/ +$/gm, '')}FLAGS\n${lines.join('\n')}${rest}`;
    },
  });
}

/** The library's help of a group, without lines that are too long. */
export function withWrappedRows(group: RouteMap<CliContext>): RouteMap<CliContext> {
  const formatHelp = group.formatHelp.bind(group);
  return Object.assign(group, { formatHelp: (args: HelpArguments) => wrapRows(formatHelp(args)) });
}

/** Wraps what stands in the second column below ARGUMENTS and COMMANDS. */
function wrapRows(text: string): string {
  const start = text.search(/^(ARGUMENTS|COMMANDS)\n/m);
  if (start < 0) return text;
  return (
    text.slice(0, start) +
    text.slice(start).replaceAll(/^( {2,3}\S+ {2,})(\S.*)$/gm, (_, before: string, brief: string) => {
      const indent = ' '.repeat(before.length);
      return before + wrapLine(brief, widest - indent.length).join(`\n${indent}`);
    })
  );
}

function formatFlags(
  flags: Readonly<Record<string, ShownFlag>>,
  aliases: Readonly<Record<string, string | undefined>>,
  { additionalFlags, text }: HelpArguments,
): readonly string[] {
  const rows = [
    ...Object.entries(flags)
      .filter(([, { hidden }]) => hidden !== true)
      .map(([name, flag]) => {
        const letter = Object.keys(aliases).find((alias) => aliases[alias] === name);
        return { letter, shown: showFlag(kebab(name), flag), brief: flag.brief };
      }),
    ...additionalFlags.map(({ name, aliases: letters, brief }) => {
      return { letter: letters?.[0], shown: `--${kebab(name)}`, brief };
    }),
    { letter: undefined, shown: '--', brief: text.briefs.argumentEscapeSequence },
  ];
  const width = Math.max(...rows.map(({ shown }) => shown.length));
  const indent = ' '.repeat(width + 8);
  return rows.map(({ letter, shown, brief }) => {
    const start = `  ${letter === undefined ? '   ' : `-${letter},`} ${shown.padEnd(width)}  `;
    return start + wrapLine(brief, widest - indent.length).join(`\n${indent}`);
  });
}

function showFlag(name: string, { placeholder, variadic, inferEmpty }: ShownFlag): string {
  if (placeholder === undefined) return `--${name}`;
  const value = inferEmpty === true ? `[=${placeholder}]` : ` ${placeholder}`;
  return variadic === true ? `--${name}${value} ...` : `--${name}${value}`;
}

/** Breaks paragraphs at blanks so that no line is longer than eighty characters; keeps line breaks. */
export function wrapText(text: string): string {
  return text
    .split('\n')
    .flatMap((line) => wrapLine(line, widest))
    .join('\n');
}

function wrapLine(line: string, width: number): readonly string[] {
  const lines: string[] = [];
  let current = '';
  for (const word of line.split(' ')) {
    if (current !== '' && current.length + 1 + word.length > width) {
      lines.push(current);
      current = word;
    } else current = current === '' ? word : `${current} ${word}`;
  }
  return [...lines, current];
}

/** `projectName` as flags are typed: `project-name`. */
export function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
