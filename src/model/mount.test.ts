import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from './errors.ts';
import {
  formatComposeLongMount,
  parseComposeLongMount,
  parseComposeMount,
  parseComposeShortMount,
} from '../compose/compose-mount.ts';
import {
  formatComposeShortMount,
  formatCsvMount,
  formatShortMount,
  formatTmpfsMount,
} from '../../test/support/format-mount.ts';
import { parseCsvMount } from './mount-csv.ts';
import {
  anyText,
  composeLongMounts,
  composeShortMounts,
  csvMounts,
  shortMounts,
  tmpfsOptionMounts,
} from '../../test/support/mount-samples.ts';
import { parseShortMount } from './mount-short.ts';
import { parseTmpfsMount } from './mount-tmpfs.ts';
import { checkMountList, sameMount, type Mount } from './mount.ts';

const volume = { type: 'volume', readOnly: false, noCopy: false, options: {}, labels: {} } as const;

describe('parsing a formatted mount gives the same mount', () => {
  const many = { numRuns: 1000 };
  test('for -v', () => {
    fc.assert(
      fc.property(shortMounts, (mount) => same(parseShortMount(formatShortMount(mount)), mount)),
      many,
    );
  });
  test('for --mount', () => {
    fc.assert(
      fc.property(csvMounts, (mount) => same(parseCsvMount(formatCsvMount(mount)), mount)),
      many,
    );
  });
  test('for --tmpfs', () => {
    fc.assert(
      fc.property(tmpfsOptionMounts, (mount) => same(parseTmpfsMount(formatTmpfsMount(mount)), mount)),
      many,
    );
  });
  test('for Compose’s short syntax', () => {
    fc.assert(
      fc.property(composeShortMounts, (mount) =>
        same(parseComposeShortMount(formatComposeShortMount(mount)), mount),
      ),
      many,
    );
  });
  test('for Compose’s long syntax, through JSON', () => {
    fc.assert(
      fc.property(composeLongMounts, (mount) => {
        const written = JSON.parse(JSON.stringify(formatComposeLongMount(mount))) as unknown;
        same(parseComposeLongMount(written), mount);
      }),
      many,
    );
  });
});

describe('a formatter expresses the mount exactly, or refuses', () => {
  const anyMount = fc.oneof(shortMounts, csvMounts, composeLongMounts, composeShortMounts, tmpfsOptionMounts);
  const notations: readonly (readonly [string, (mount: Mount) => Mount])[] = [
    ['-v', (mount) => parseShortMount(formatShortMount(mount))],
    ['--mount', (mount) => parseCsvMount(formatCsvMount(mount))],
    ['Compose short', (mount) => parseComposeMount(formatComposeShortMount(mount))],
    ['Compose long', (mount) => parseComposeMount(formatComposeLongMount(mount))],
  ];
  test.each(notations)('%s', (_name, through) => {
    fc.assert(
      fc.property(anyMount, (mount) => {
        try {
          same(through(mount), mount);
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          expect(error.code).toBe('unsupported');
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('a parser throws nothing but AppError', () => {
  const separators = fc.array(
    fc.oneof(anyText, fc.constantFrom(':', ',', '=', '"', 'ro', 'type=', 'dst=', '/x', '${')),
    {
      maxLength: 8,
    },
  );
  const hostile = fc.oneof(
    anyText,
    separators.map((parts) => parts.join('')),
  );
  const parsers: readonly (readonly [string, (text: string) => Mount])[] = [
    ['-v', parseShortMount],
    ['--mount', parseCsvMount],
    ['--tmpfs', parseTmpfsMount],
    ['Compose short', parseComposeShortMount],
  ];
  test.each(parsers)('%s, on any text', (_name, parse) => {
    fc.assert(
      fc.property(hostile, (text) => onlyAppErrors(() => parse(text))),
      { numRuns: 2000 },
    );
  });

  test('Compose long, on any value', () => {
    const keys = fc.constantFrom(
      'type',
      'source',
      'target',
      'read_only',
      'bind',
      'volume',
      'tmpfs',
      'image',
      'x-a',
      'a',
    );
    const value = fc.oneof(
      fc.anything(),
      fc.dictionary(keys, fc.anything()),
      fc.constantFrom('bind', 'volume', 'tmpfs'),
    );
    const entry = fc.dictionary(keys, value).map((fields) => ({ type: 'tmpfs', target: '/x', ...fields }));
    fc.assert(
      fc.property(fc.oneof(fc.anything(), entry), (something) =>
        onlyAppErrors(() => parseComposeMount(something)),
      ),
      { numRuns: 2000 },
    );
  });
});

test('checkMountList() refuses two mounts at one place, as the engine does', () => {
  const mounts = [parseShortMount('pg:/data'), parseShortMount('/srv:/data/')];
  expect(() => checkMountList(mounts)).toThrow(
    expect.objectContaining({ code: 'usage', message: 'Duplicate mount point: /data' }),
  );
  expect(() => checkMountList([parseShortMount('pg:/data'), parseShortMount('pg:/data/2')])).not.toThrow();
});

test('sameMount() sees every difference and no order', () => {
  const one: Mount = { ...volume, target: '/x', labels: { a: '1', b: '2' } };
  expect(sameMount(one, { ...volume, labels: { b: '2', a: '1' }, target: '/x' })).toBe(true);
  expect(sameMount(one, { ...one, labels: { a: '1', b: '3' } })).toBe(false);
  expect(sameMount(one, { ...one, readOnly: true })).toBe(false);
});

test('labels and options named like parts of JavaScript’s objects are kept', () => {
  const mount = parseCsvMount('dst=/x,src=pg,volume-label=__proto__=a,volume-opt=constructor=b');
  expect(Object.entries(mount.type === 'volume' ? { ...mount.labels, ...mount.options } : {})).toEqual([
    ['__proto__', 'a'],
    ['constructor', 'b'],
  ]);
});

function same(left: Mount, right: Mount): void {
  expect(left).toEqual(right);
}

function onlyAppErrors(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
  }
}
