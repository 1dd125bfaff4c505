import { expect, test } from 'vitest';
import { withoutSecrets } from './without-secrets.ts';

test.each([
  ['password=hunter2 x', 'password=*** x'],
  ['POSTGRES_PASSWORD=hunter2', 'POSTGRES_PASSWORD=***'],
  ['env PGPASSWORD=hunter2 pg_dump', 'env PGPASSWORD=*** pg_dump'],
  ['AWS_SECRET_ACCESS_KEY: "hun ter2"', 'AWS_SECRET_ACCESS_KEY: ***'],
  ['{"x-api-key":"hunter2"}', '{"x-api-key":***}'],
  ['postgresql://joe:hunter2@db/shop', 'postgresql://***@db/shop'],
])('of "%s" the secret is left out', (message, shown) => {
  expect(withoutSecrets(message)).toBe(shown);
});

test.each(['port is already allocated', 'no such file "/run/secrets/key"', 'the key of "a" is not known'])(
  '"%s" stays as it is',
  (message) => {
    expect(withoutSecrets(message)).toBe(message);
  },
);

test('a long word is handled in linear time', () => {
  const startedMs = performance.now();
  withoutSecrets('a-'.repeat(200_000));
  expect(performance.now() - startedMs).toBeLessThan(15_000);
});
