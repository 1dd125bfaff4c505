import { expect, test } from 'vitest';
import { forgetFolder, newFolder, noFolders } from './watched-folder.ts';
import { Inotify, Watches } from './watches.ts';

test('a directory with more subdirectories than a call takes arguments is forgotten', () => {
  using inotify = Inotify.open();
  if (inotify === undefined) throw new Error('inotify is not there');
  const folder = newFolder('full', 1);
  folder.below = Array.from({ length: 500_000 }, (_, number) => newFolder(`d${number}`, number + 2));
  forgetFolder(folder, new Watches(inotify, 10));
  expect(folder.below).toBe(noFolders);
});
