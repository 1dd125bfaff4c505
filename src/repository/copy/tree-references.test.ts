import { expect, test } from 'vitest';
import { treeReferences } from './tree-crawler.ts';

const [a, b, c] = ['a', 'b', 'c'].map((letter) => letter.repeat(64));

test('content and trees are found, whatever else the nodes hold', () => {
  const nodes = [
    { name: 'file', type: 'file', content: [a, b, a], generic_attributes: { subtree: 'x' } },
    { name: 'link', type: 'symlink', content: null },
    { name: 'dir', type: 'dir', subtree: c },
    { name: 'unknown', type: 'whiteout' },
  ];
  expect(treeReferences(Buffer.from(JSON.stringify({ nodes })))).toEqual({
    content: [a, b, a],
    subtrees: [c],
  });
  expect(treeReferences(Buffer.from('{"nodes":null}'))).toEqual({ content: [], subtrees: [] });
});

test.each([
  'no json',
  '[]',
  'null',
  '{"nodes":5}',
  '{"nodes":[{"type":"dir"}]}',
  '{"nodes":[{"type":"file","content":["../x"]}]}',
  '{"nodes":[{"type":"file","content":"x"}]}',
])('%s is damaged', (text) => {
  expect(() => treeReferences(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'integrity' }));
});
