import fc from 'fast-check';
import { cleanPath } from '../../src/model/clean-path.ts';
import {
  propagations,
  type BindMount,
  type Mount,
  type TmpfsMount,
  type VolumeMount,
} from '../../src/model/mount.ts';

/** Ordinary text, and the characters with a meaning in one of the notations. */
const word = fc
  .string({
    unit: fc.constantFrom(...Array.from('abcZ09_.-/ ,"\'=$é😀:\\{}~#\n\r\t')),
    minLength: 1,
    maxLength: 12,
  })
  .filter((text) => text.trim() !== '');

export const anyText = fc.oneof(word, fc.string({ unit: 'binary', maxLength: 20 }));

function without(characters: string) {
  return word.map((text) =>
    Array.from(text)
      .filter((character) => !characters.includes(character))
      .join(''),
  );
}

function names(forbidden: string) {
  return without(`${forbidden}/.~\\`).filter(
    (name) => name.trim() === name && name.length > 1 && !name.startsWith('$'),
  );
}

function targets(forbidden: string) {
  return without(forbidden)
    .map((text) => `/x${text}`)
    .filter((path) => path.trim() === path && cleanPath(path.replaceAll('\\', '/')) !== '/');
}

const record = (forbidden: string) =>
  fc
    .array(
      fc.tuple(
        without(`=${forbidden}`).filter((key) => key.trim() === key && key !== ''),
        without(forbidden),
      ),
      {
        maxLength: 3,
      },
    )
    .map((pairs) => Object.fromEntries(pairs.map(([key, value]) => [key, value.trim()])));

/** A value that may be absent, as an absent property. */
function maybe(key: string, values: fc.Arbitrary<unknown>): fc.Arbitrary<object> {
  return fc.option(values, { nil: undefined }).map((value) => (value === undefined ? {} : { [key]: value }));
}

function merged<T>(...parts: fc.Arbitrary<object>[]): fc.Arbitrary<T> {
  return fc.tuple(...parts).map((objects) => Object.assign({}, ...objects) as T);
}

const consistency = maybe('consistency', fc.constantFrom('consistent', 'cached', 'delegated'));
const propagation = maybe('propagation', fc.constantFrom(...propagations));
const selinux = maybe('selinux', fc.constantFrom('z' as const, 'Z' as const));
const access = fc.record({ readOnly: fc.boolean() });

/** Every mount that `-v` can express. */
export const shortMounts: fc.Arbitrary<Mount> = fc.oneof(
  merged<VolumeMount>(
    fc.constant({ type: 'volume', options: {}, labels: {} }),
    fc.record({ source: names(':'), target: targets(':'), readOnly: fc.boolean(), noCopy: fc.boolean() }),
    selinux,
    consistency,
  ),
  fc.record({ target: targets(':') }).map(({ target }): VolumeMount => {
    return { type: 'volume', target, readOnly: false, noCopy: false, options: {}, labels: {} };
  }),
  merged<BindMount>(
    fc.constant({ type: 'bind', createSource: true }),
    fc.record({ source: targets(':'), target: targets(':') }),
    access,
    selinux,
    propagation,
    consistency,
  ),
);

/** Every mount that Compose's short syntax can express. */
export const composeShortMounts: fc.Arbitrary<Mount> = fc.oneof(
  merged<VolumeMount>(
    fc.constant({ type: 'volume', options: {}, labels: {} }),
    fc.record({ source: names(':$'), target: targets(':$'), readOnly: fc.boolean(), noCopy: fc.boolean() }),
  ),
  merged<BindMount>(
    fc.constant({ type: 'bind', createSource: true }),
    fc.record({ source: targets(':$').chain((path) => fc.constantFrom(path, `.${path}`, `~${path}`)) }),
    fc.record({ target: targets(':$') }),
    access,
    selinux,
    propagation,
  ),
);

/** Every mount that `--mount` can express, save what CSV itself cannot hold. */
export const csvMounts: fc.Arbitrary<Mount> = fc.oneof(
  merged<VolumeMount>(
    fc.constant({ type: 'volume' }),
    fc.record({ target: targets('\r'), noCopy: fc.boolean(), options: record('\r'), labels: record('\r') }),
    fc.record({ source: names('\r') }),
    maybe('subpath', fc.constantFrom('a', 'a/b', './c,d', 'e "f"')),
    maybe('driver', names('\r')),
    access,
    consistency,
  ),
  merged<BindMount>(
    fc.constant({ type: 'bind' }),
    fc.record({ source: targets('\r'), target: targets('\r'), createSource: fc.boolean() }),
    access,
    propagation,
    consistency,
    fc.constantFrom({}, { recursive: 'disabled' }),
  ),
  fc.constantFrom('writable' as const, 'readonly' as const).map((recursive): BindMount => {
    const base = { type: 'bind', source: '/s', target: '/x', readOnly: true, createSource: false } as const;
    return { ...base, propagation: 'rprivate', recursive };
  }),
  tmpfsMounts('\r', fc.constant([])),
  fc
    .record({
      type: fc.constantFrom('npipe' as const, 'cluster' as const),
      source: names('\r'),
      target: targets('\r'),
    })
    .map((parts): Mount => ({ ...parts, readOnly: false })),
  imageMounts('\r'),
);

/** Every mount that Compose's long syntax can express. */
export const composeLongMounts: fc.Arbitrary<Mount> = fc.oneof(
  merged<VolumeMount>(
    fc.constant({ type: 'volume', options: {} }),
    fc.record({ target: anyText.filter((text) => text !== ''), noCopy: fc.boolean() }),
    fc.record({ labels: fc.dictionary(anyText, anyText, { maxKeys: 3 }) }),
    maybe('source', names('')),
    maybe('subpath', word),
    access,
    consistency,
  ),
  merged<BindMount>(
    fc.constant({ type: 'bind' }),
    fc.record({ source: word, target: word, createSource: fc.boolean() }),
    access,
    selinux,
    propagation,
    maybe('recursive', fc.constantFrom('disabled', 'writable', 'readonly')),
  ),
  tmpfsMounts('', fc.constant([])),
  imageMounts(''),
);

/** Every mount that `--tmpfs` can express. */
export const tmpfsOptionMounts = tmpfsMounts(
  ':',
  fc.uniqueArray(fc.constantFrom('exec', 'noexec', 'suid', 'noatime', 'uid=5', 'gid=6', 'nr_inodes=10k'), {
    maxLength: 4,
  }),
);

function tmpfsMounts(forbidden: string, options: fc.Arbitrary<string[]>): fc.Arbitrary<TmpfsMount> {
  return merged<TmpfsMount>(
    fc.constant({ type: 'tmpfs' }),
    fc.record({ target: targets(forbidden), options }),
    access,
    maybe('sizeBytes', fc.integer({ min: 1, max: 2 ** 40 })),
    maybe('mode', fc.integer({ min: 1, max: 0o7777 })),
  );
}

function imageMounts(forbidden: string): fc.Arbitrary<Mount> {
  return merged<Mount>(
    fc.constant({ type: 'image' }),
    fc.record({ source: names(forbidden), target: targets(forbidden) }),
    access,
    maybe('subpath', fc.constantFrom('a', 'a/b')),
  );
}
