import { expect, test } from 'vitest';
import { choosePrinter } from './printer.ts';
import { formatTable } from './table.ts';

test('formatTable() aligns columns, wide and combining characters included', () => {
  const rows = [
    ['日本', 1],
    ['e\u0301x', 10],
  ] as const;
  const table = formatTable(rows, [
    { title: 'NAME', value: ([name]) => name },
    { title: 'N', value: ([, count]) => String(count), align: 'right' },
  ]);
  expect(table).toBe('NAME    N\n日本    1\ne\u0301x     10');
});

test('one view is printed as a document, as text, or as bare names', () => {
  const view = { json: () => ({ id: 1n, none: undefined }), text: () => 'shown', quiet: () => ['a', 'b'] };
  const printed = (format: 'table' | 'json', quiet: boolean): string => {
    let all = '';
    choosePrinter({ format, quiet, paint: (_, text) => text }, (text) => (all += text)).print(view);
    return all;
  };
  expect(printed('table', false)).toBe('shown\n');
  expect(printed('table', true)).toBe('a\nb\n');
  expect(JSON.parse(printed('json', true))).toEqual({ id: '1', none: null });
});
