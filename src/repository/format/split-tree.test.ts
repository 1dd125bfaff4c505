import { expect, test } from 'vitest';
import { splitTree } from './encode-tree.ts';

test('splitTree() returns nodes unchanged, whatever their names look like', () => {
  const nodes = [
    '{"name":"a}\\\\\\"{[],","type":"file","inode":18446744073709551615,"content":[]}',
    '{"name":"]}","type":"dir","generic_attributes":{"x":{"y":"}"}},"subtree":"ab"}',
    '{"name":"\\u2028é"}',
  ];
  expect(splitTree(Buffer.from(`{"nodes":[${nodes.join(',')}]}\n`, 'latin1'))).toEqual(nodes);
  expect(splitTree(Buffer.from(`{ "nodes": [ ${nodes.join(' , ')} ] }`, 'latin1'))).toEqual(nodes);
});

test('an empty tree has none', () => {
  expect(splitTree(Buffer.from('{"nodes":[]}\n'))).toEqual([]);
  expect(splitTree(Buffer.from('{"nodes":null}'))).toEqual([]);
});

test.each(['', '{}', '[]', '{"nodes":[5]}', '{"nodes":[{]', '{"nodes":[{"name":"a]}', '{"nodes":[{}'])(
  '%s is no tree',
  (text) => {
    expect(() => splitTree(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'integrity' }));
  },
);
