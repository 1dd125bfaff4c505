import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { WallTime } from '../../model/local-time.ts';

/** What an archive's name says. */
export interface ArchiveName {
  /** Undefined where the volumes are folders inside. */
  readonly volume: string | undefined;
  readonly time: WallTime;
}

const endings = /\.(?:tar|tar\.(?:gz|zst|xz|bz2|lz4|lzma)|tgz|tzst|txz|tbz2?)$/i;
const encrypted = /\.(?:gpg|pgp|asc|age|enc|aes)$/i;

/** True for what looks like an archive by its name. */
export function hasArchiveName(name: string): boolean {
  return endings.test(name.replace(encrypted, ''));
}

/** Throws `unsupported` for an encrypted archive. */
export function refuseEncrypted(name: string): void {
  const ending = encrypted.exec(name)?.[0];
  if (ending === undefined) return;
  const isAge = ending.toLowerCase() === '.age';
  throw new AppError('unsupported', `Cannot import ${quote(name)}: it is encrypted`, {
    hint: `Decrypt it first: ${isAge ? 'age --decrypt' : 'gpg --decrypt'} --output ${name.replace(encrypted, '')} ${name}`,
  });
}

const dateAndTime = '(?<Y>\\d{4})-?(?<m>\\d{2})-?(?<d>\\d{2})';
const clock = '[-_T](?<H>\\d{2})[-:]?(?<M>\\d{2})[-:]?(?<S>\\d{2})';

/** `NAME-20260131-120000`, `NAME_2026-01-31T12-00-00`, `NAME-20260131`; `backup-…` has its volumes inside. */
const usual: readonly RegExp[] = [
  new RegExp(`^(?<volume>.+?)[-_.]${dateAndTime}${clock}$`),
  new RegExp(`^(?<volume>.+?)[-_.]${dateAndTime}$`),
];

/** The default name of offen's archives. */
const general = 'backup';

/**
 * Reads a file's name, by the pattern or as scripts usually name archives; undefined if it does not match.
 */
export function readArchiveName(name: string, pattern: RegExp | undefined): ArchiveName | undefined {
  const base = name.replace(endings, '');
  for (const candidate of pattern === undefined ? usual : [pattern]) {
    const found = candidate.exec(candidate === pattern ? name : base)?.groups;
    if (found === undefined) continue;
    const part = (key: string): number => Number(found[key] ?? 0);
    const time = {
      ...{ year: part('Y'), month: part('m'), day: part('d') },
      ...{ hour: part('H'), minute: part('M'), second: part('S') },
    };
    const volume = found['volume'];
    return { volume: pattern === undefined && volume === general ? undefined : volume, time };
  }
  return undefined;
}

const signs: Readonly<Record<string, string>> = {
  Y: '(?<Y>\\d{4})',
  m: '(?<m>\\d{2})',
  d: '(?<d>\\d{2})',
  H: '(?<H>\\d{2})',
  M: '(?<M>\\d{2})',
  S: '(?<S>\\d{2})',
};

/**
 * A pattern as scripts write names: `{volume}-%Y%m%d-%H%M%S`. The directives are those of date(1); `*` is any
 * text; an ending such as `.tar.gz` may be omitted. Throws `usage`.
 */
export function compileNamePattern(pattern: string): RegExp {
  const refuse = (why: string): never => {
    throw new AppError('usage', `Cannot read the name pattern ${quote(pattern)}: ${why}`, {
      hint: 'Write it like "{volume}-%Y%m%d-%H%M%S".',
    });
  };
  const spelled = pattern.replaceAll('%F', '%Y-%m-%d').replaceAll('%T', '%H:%M:%S');
  const seen = new Set<string>();
  const once = (name: string, source: string): string => {
    if (seen.has(name)) refuse(`${quote(name)} is in it twice`);
    seen.add(name);
    return source;
  };
  const source = spelled.replace(/%(.?)|\{volume\}|\*|[^%{*]+|\{/g, (piece, sign: string | undefined) => {
    if (piece === '*') return '.*?';
    if (piece === '{volume}') return once('{volume}', '(?<volume>.+?)');
    if (!piece.startsWith('%')) return piece.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
    const known = signs[sign ?? ''];
    return known === undefined ? refuse(`there is no sign ${quote(piece)}`) : once(piece, known);
  });
  for (const sign of ['%Y', '%m', '%d']) if (!seen.has(sign)) refuse(`it needs ${sign}`);
  const end = endings.test(pattern) ? '' : String.raw`(?:\.[A-Za-z0-9]+)*?`;
  return new RegExp(`^${source}${end}$`);
}
