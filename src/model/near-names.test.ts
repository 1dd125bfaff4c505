import { expect, test } from 'vitest';
import { nearNames } from './near-names.ts';

test('nearNames() finds swapped, missing and wrong letters, nearest first', () => {
  expect(nearNames('postgers', ['redis', 'postgres', 'postgres2'])).toEqual(['postgres', 'postgres2']);
  expect(nearNames('pgdat', ['pgdata', 'web'])).toEqual(['pgdata']);
});

test('nearNames() finds the name that Compose put its project before', () => {
  expect(nearNames('data', ['shop_data', 'shop_cache'])).toEqual(['shop_data']);
});

test('nearNames() finds a name that differs by its stack, after names that contain all of it', () => {
  expect(nearNames('blog_postgres_data', ['postgres_data', 'cache'])).toEqual(['postgres_data']);
  expect(nearNames('postgres_data', ['blog_data', 'shop_postgres_data'])[0]).toBe('shop_postgres_data');
});

test('nearNames() finds nothing where nothing is near, and never more than three', () => {
  expect(nearNames('pg', ['mysql', 'redis'])).toEqual([]);
  expect(nearNames('vol', ['vol1', 'vol2', 'vol3', 'vol4'])).toHaveLength(3);
});
