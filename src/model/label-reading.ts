import { parseDuration } from './duration.ts';
import { AppError } from './errors.ts';
import { defaultHookTimeoutMs, type Hook, type HookMoment, usualOnFailure } from './hook.ts';
import { quote, splitWords } from './quote.ts';

export type Labels = Readonly<Record<string, string>>;

/** The owner of the labels, for messages. */
export interface LabelOwner {
  readonly kind: 'volume' | 'container';
  readonly name: string;
}

/** `true`, `1`, `yes`, `on` and their opposites, in any case; throws for anything else. */
export function parseFlag(text: string): boolean {
  const word = text.trim().toLowerCase();
  if (['true', '1', 'yes', 'on'].includes(word)) return true;
  if (['false', '0', 'no', 'off'].includes(word)) return false;
  throw new AppError('usage', `${quote(text)} is neither "true" nor "false"`);
}

/** Words between commas. */
export function parseList(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

/**
 * A command as a JSON list (`["sh", "-c", "…"]`), or as words with quotes. Nothing is expanded: there is no
 * shell.
 */
export function parseCommand(text: string): string[] {
  const words = text.trimStart().startsWith('[') ? parseJsonList(text) : splitWords(text);
  if (words.length === 0 || words[0] === '') throw new AppError('usage', 'there is no command');
  return words;
}

function parseJsonList(text: string): string[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return splitWords(text);
  }
  if (Array.isArray(list) && list.every((word) => typeof word === 'string')) return list;
  throw new AppError('usage', 'a command in brackets has to be a list of texts');
}

export interface HookLabels {
  readonly moment: HookMoment;
  /** The label with the command. */
  readonly label: string;
  readonly command: string;
  readonly user?: string | undefined;
  readonly timeout?: string | undefined;
  readonly target?: string | undefined;
  readonly onFailure?: string | undefined;
  readonly defaultTimeoutMs?: number;
}

export function readHook(labels: HookLabels): Hook {
  const onFailure = labels.onFailure ?? usualOnFailure(labels.moment);
  if (onFailure !== 'abort' && onFailure !== 'warn')
    throw new AppError('usage', `${quote(onFailure)} is neither "abort" nor "warn"`);
  return {
    moment: labels.moment,
    target: labels.target,
    command: parseCommand(labels.command),
    user: labels.user,
    timeoutMs:
      labels.timeout === undefined
        ? (labels.defaultTimeoutMs ?? defaultHookTimeoutMs)
        : parseDuration(labels.timeout),
    onFailure,
    origin: `the label ${quote(labels.label)}`,
  };
}

/** Reads one label; an error becomes a warning, since a bad label must not prevent a backup. */
export class LabelReader {
  readonly warnings: string[] = [];
  readonly #owner: LabelOwner;

  constructor(owner: LabelOwner) {
    this.#owner = owner;
  }

  read<T>(label: string, parse: () => T): T | undefined {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.warn(label, `is not understood: ${error.message}`);
      return undefined;
    }
  }

  /** A boolean label; undefined when it is absent. */
  flag(labels: Labels, label: string): boolean | undefined {
    const text = labels[label];
    return text === undefined ? undefined : this.read(label, () => parseFlag(text));
  }

  /** `The label "x" of the container "y" …`. */
  warn(label: string, what: string): void {
    const { kind, name } = this.#owner;
    this.warnings.push(`The label ${quote(label)} of the ${kind} ${quote(name)} ${what}`);
  }
}
