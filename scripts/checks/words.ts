import { testFile } from './import-rules.ts';

interface Ban {
  readonly pattern: RegExp;
  readonly why: string;
  /** The files to search; all by default. */
  readonly files?: RegExp;
}

const tests = new RegExp(testFile);
/** Code whose errors users see; code below it may state its invariants as plain errors. */
const facingUsers = /^src\/(?!model\/|lib\/|repository\/)[^/]+\/.*\.ts$/;

/** The patterns are assembled from parts so that this file does not match itself. */
const bans: readonly Ban[] = [
  { pattern: new RegExp(`(?<![\\w.-])/${'work'}/`), why: 'a path of one machine' },
  { pattern: new RegExp(`\\.\\./${'shared'}\\b`), why: 'a path outside of the checkout' },
  {
    pattern: new RegExp(`\\b(?:${'registry'}|deb|mirror)\\.[a-z0-9-]+\\.[a-z]{2,}`),
    why: 'the host of a package registry',
  },
  { pattern: new RegExp(`^(?:<{7}|>{7}|\\|{7})(?: |$)`), why: 'a merge conflict' },
  { pattern: new RegExp(`\\b${'FIX'}ME\\b`), why: 'a fault that is noted and not mended' },
  {
    pattern: /\bthrow new (?:Error|TypeError|RangeError)\(/,
    why: 'an error other than AppError, which users would see without a code or a hint',
    files: facingUsers,
  },
  {
    pattern: /@ts-(?:ignore|nocheck)\b/,
    why: 'a type error that is hidden: use @ts-expect-error with a reason',
  },
];

/** Returns the banned texts in a file of the project, one line each. */
export function findBannedWords(path: string, text: string): string[] {
  const relevant = bans.filter(
    (ban) => ban.files === undefined || (ban.files.test(path) && !tests.test(path)),
  );
  return text
    .split('\n')
    .flatMap((line, index) =>
      relevant
        .filter((ban) => ban.pattern.test(line))
        .map((ban) => `${path}:${index + 1}: ${ban.why}: ${line.trim().slice(0, 120)}`),
    );
}
