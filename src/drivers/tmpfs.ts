import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { parseSize } from '../model/size.ts';
import { mountAtPath, roomAt, unmountPath } from './mount-point.ts';
import type { Driver } from './driver.ts';
import { checkOptions, mountWords, type Options } from './mount-options.ts';
import { parseMode } from '../lib/ownership.ts';

/** Options that may be given separately or as a word of `o=`. */
const values = ['size', 'mode', 'uid', 'gid', 'nr_inodes', 'nr_blocks', 'huge', 'mpol'] as const;
const switches = [
  'ro',
  'rw',
  'exec',
  'noexec',
  'suid',
  'nosuid',
  'dev',
  'nodev',
  'noatime',
  'relatime',
  'noswap',
];

/** Memory, freed with the last unmount. */
export const tmpfsDriver: Driver = {
  kind: 'tmpfs',

  check(options) {
    checkOptions(options, { kind: 'tmpfs', known: ['device', 'o', ...values] });
    for (const word of wordsOf(options)) checkWord(word);
    return options;
  },

  traits: () => ({ isMounted: true, isElsewhere: false, isFleeting: true }),

  create: async () => undefined,
  remove: async () => undefined,

  async mount(volume, call) {
    const { options, mountpoint, name } = volume;
    const source = options['device'] ?? 'tmpfs';
    await mountAtPath({ source, target: mountpoint, type: 'tmpfs', words: wordsOf(options), name }, call);
  },

  unmount: (volume, call) => unmountPath(volume, call),

  health: async () => ({ status: 'good', message: undefined }),

  usage: (volume) => roomAt(volume.mountpoint),

  async resize(volume, { sizeBytes, isMounted }, call) {
    const options = { ...volume.options, size: String(sizeBytes) };
    if (!isMounted) return withoutSizeWord(options);
    const used = (await roomAt(volume.mountpoint)).usedBytes;
    if (sizeBytes < used) {
      throw new AppError(
        'usage',
        `Cannot make volume ${quote(volume.name)} smaller than the ${used} bytes that it holds`,
      );
    }
    const { source, target } = { source: 'tmpfs', target: volume.mountpoint };
    await mountAtPath({ source, target, words: ['remount', `size=${sizeBytes}`], name: volume.name }, call);
    return withoutSizeWord(options);
  },
};

function wordsOf(options: Options): string[] {
  const own = values.flatMap((key) => (options[key] === undefined ? [] : [`${key}=${options[key]}`]));
  return [...mountWords(options), ...own].map(asKernelWord);
}

/** The kernel accepts neither "1.5g" nor "10GiB". */
function asKernelWord(word: string): string {
  const size = /^size=(?!\d+%$)(.+)$/.exec(word)?.[1];
  return size === undefined ? word : `size=${parseSize(size)}`;
}

function checkWord(word: string): void {
  const at = word.indexOf('=');
  const [key, value] = at === -1 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
  const isKnown = value === undefined ? switches.includes(key) : values.some((known) => known === key);
  if (!isKnown) {
    throw new AppError('usage', `tmpfs has no option ${quote(word)}`, {
      hint: `It has ${[...values.map((name) => `${name}=`), ...switches].join(', ')}.`,
    });
  }
  if (key === 'mode' && value !== undefined) parseMode(value);
  if ((key === 'uid' || key === 'gid') && !/^\d{1,10}$/.test(value ?? ''))
    throw new AppError('usage', `invalid value for ${quote(key)}: ${quote(value ?? '')} is not a number`);
}

function withoutSizeWord(options: Options): Options {
  if (options['o'] === undefined) return options;
  return {
    ...options,
    o: mountWords(options)
      .filter((word) => !word.startsWith('size='))
      .join(','),
  };
}
