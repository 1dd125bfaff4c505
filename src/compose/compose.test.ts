import { expect, test } from 'vitest';
import { composeFolder } from '../../test/fixtures/compose-folder.ts';
import { AppError } from '../model/errors.ts';
import { openCompose } from './compose.ts';

test('nothing is prepared where x-holdfast cannot be used: a volume could be made in the clear', async () => {
  using folder = composeFolder({
    'compose.yaml': `services: {web: {image: web, volumes: ['data:/data']}}
volumes: {data: {external: true, x-holdfast: {storige: {type: luks, size: 1g}}}}
`,
  });
  const problem = { file: '/c.yaml', line: 2, column: 42, message: 'x-holdfast.storige is not known here' };
  const compose = openCompose({
    host: () => Promise.reject(new AppError('unavailable', 'No engine answers')),
    volumes: () => Promise.reject(new AppError('unavailable', 'No engine answers')),
    readSettings: () => Promise.resolve({ problems: [problem], policies: [], wanted: () => undefined }),
    policies: () => Promise.resolve([]),
    protection: () => Promise.resolve(new Map()),
  });
  await expect(compose.planPrepare({ directory: folder.path, env: {} })).rejects.toMatchObject({
    code: 'usage',
    message: '/c.yaml:2:42: x-holdfast.storige is not known here',
  });
});
