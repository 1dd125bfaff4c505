import { expect, test } from 'vitest';
import { agreementOf, formatAgreements } from './agreement.ts';

const rate = { title: 'commits', unit: 'commits' } as const;
const pairsOf = (ratios: readonly number[]) => ratios.map((ratio) => ({ bench: ratio * 1000, hand: 1000 }));
const times = (ratio: number, count: number): number[] => Array.from({ length: count }, () => ratio);

test('what is near in most rounds agrees, whatever single rounds say', () => {
  expect(agreementOf(rate, pairsOf([...times(1.02, 13), 0.1, 9]))).toMatchObject({
    ratio: 1.02,
    range: [1.02, 1.02],
    verdict: 'agrees',
  });
});

test('what is far in most rounds differs', () => {
  expect(agreementOf(rate, pairsOf(times(0.8, 9)))?.verdict).toBe('differs');
});

test('rounds that vary, or are few, prove neither', () => {
  expect(agreementOf(rate, pairsOf([0.5, 0.6, 0.8, 1, 1.2, 1.4, 1.7]))?.verdict).toBe('unclear');
  expect(agreementOf(rate, pairsOf([0.5, 0.6, 0.8, 0.85, 0.9, 1.2, 1.7]))?.verdict).toBe('unclear');
  expect(agreementOf(rate, pairsOf(times(1, 5)))).toMatchObject({ range: undefined, verdict: 'unclear' });
});

test('the range leaves out as many rounds at each end as the certainty allows', () => {
  const ratios = Array.from({ length: 15 }, (_, index) => 0.93 + index / 100);
  // Of fifteen coins, three or fewer show heads with a chance of 1.8%, four or fewer with one of 5.9%.
  expect(agreementOf(rate, pairsOf(ratios))?.range).toEqual([ratios[3], ratios[11]]);
});

test('a round without a figure is left out, and nothing is said of none', () => {
  const pairs = [...pairsOf(times(1, 6)), { bench: Number.NaN, hand: 1 }, { bench: 1, hand: 0 }];
  expect(agreementOf(rate, pairs)?.verdict).toBe('agrees');
  expect(agreementOf(rate, [])).toBeUndefined();
});

test('the table says what agrees and what does not', () => {
  const rows = [
    agreementOf(rate, pairsOf(times(1.03, 9))),
    agreementOf({ title: '  99% within', unit: 'ms' }, pairsOf(times(1.3, 9))),
    agreementOf({ title: 'writing in a row', unit: 'bytes' }, pairsOf(times(1, 3))),
  ].filter((one) => one !== undefined);
  expect(formatAgreements(rows)).toBe(
    [
      '                   holdfast bench   fio by hand   bench/fio         95% sure',
      'commits                    1030/s        1000/s       1.030        1.03–1.03   agrees',
      '  99% within          1300.000 ms   1000.000 ms       1.300        1.30–1.30   differs',
      'writing in a row           0 MB/s        0 MB/s       1.000   too few rounds   unclear',
      '',
      'Of 3 figures 1 agree within 10%, 1 differ by more, and 1 vary too much from round to round to tell.',
    ].join('\n'),
  );
});
