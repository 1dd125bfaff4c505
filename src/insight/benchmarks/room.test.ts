import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { imagesBehind } from './room.ts';

test('the image of a volume is found through its encryption too', () => {
  const blocks = mkdtempSync(join(tmpdir(), 'blocks-'));
  try {
    mkdirSync(join(blocks, 'loop0/loop'), { recursive: true });
    writeFileSync(join(blocks, 'loop0/loop/backing_file'), '/srv/pg image\n');
    mkdirSync(join(blocks, 'dm-0/slaves/loop0'), { recursive: true });
    mkdirSync(join(blocks, 'sda1'));
    expect(imagesBehind('loop0', blocks)).toEqual(['/srv/pg image']);
    expect(imagesBehind('dm-0', blocks)).toEqual(['/srv/pg image']);
    expect(imagesBehind('sda1', blocks)).toEqual([]);
    expect(imagesBehind('gone', blocks)).toEqual([]);
  } finally {
    rmSync(blocks, { recursive: true });
  }
});
