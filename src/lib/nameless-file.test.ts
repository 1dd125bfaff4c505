import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** Opens a file in a process of its own, in which the file system answers with `code` where it has no nameless files. */
const opening = `
  import fs from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  const [, module, folder, codes] = process.argv;
  const open = fs.openSync;
  let code = '';
  let withoutName = 0;
  fs.openSync = (path, flags, mode) => {
    if (code !== '' && typeof flags === 'number' && (flags & withoutName) === withoutName)
      throw Object.assign(new Error(code), { code });
    return open(path, flags, mode);
  };
  syncBuiltinESMExports();
  const nameless = await import(module);
  withoutName = nameless.withoutName;
  const seen = {};
  for (code of codes.split(' ')) {
    try {
      const fd = nameless.openNameless(folder);
      const { nlink, mode } = fs.fstatSync(fd);
      fs.writeSync(fd, 'output');
      const read = Buffer.alloc(6);
      fs.readSync(fd, read, 0, 6, 0);
      fs.closeSync(fd);
      seen[code] = [nlink, (mode & 0o777).toString(8), read.toString()];
    } catch (error) {
      seen[code] = error.code;
    }
    seen.names = [...(seen.names ?? []), ...fs.readdirSync(folder)];
  }
  console.log(JSON.stringify(seen));
`;

test('a nameless file is private, can be read, and has no name, where the file system has none as well', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nameless-'));
  try {
    const module = new URL('nameless-file.ts', import.meta.url).href;
    const codes = ' ENOTSUP EISDIR EINVAL ENOSPC';
    const args = ['--input-type=module', '-e', opening, module, folder, codes];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stderr).toBe('');
    const good = [0, '600', 'output'];
    expect(JSON.parse(stdout)).toEqual({
      ...{ '': good, ENOTSUP: good, EISDIR: good, EINVAL: good },
      // Another way would not find more room.
      ENOSPC: 'ENOSPC',
      names: [],
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
