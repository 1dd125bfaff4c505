import { expect, test } from 'vitest';
import { contentOf, lengthOf } from './file-systems.ts';

test('a device whose size cannot be found is neither empty nor blank', async () => {
  const refused = { code: 'failed', message: 'Cannot find the size of "/dev/null"' };
  await expect(lengthOf('/dev/null')).rejects.toMatchObject(refused);
  await expect(contentOf('/dev/null')).rejects.toMatchObject(refused);
});
