import { expect, test } from 'vitest';
import { missingVariables } from './missing-variables.ts';

const keys = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', AWS_REGION: 'eu-1', HOME: '/root' };
const asked = { location: 's3:https://h/bucket', options: {}, env: keys, kept: '' };

test('keys of a bucket that only the shell has are missing in a service', () => {
  expect(missingVariables(asked)).toEqual(['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']);
});

test("variables in the service's file, or replaced by options, are not missing", () => {
  const kept = '# AWS_SECRET_ACCESS_KEY=old\nAWS_ACCESS_KEY_ID=a\n';
  expect(missingVariables({ ...asked, kept })).toEqual(['AWS_SECRET_ACCESS_KEY']);
  const options = { 'access-key-id': 'file:/etc/id', 'secret-access-key': 'file:/etc/key' };
  expect(missingVariables({ ...asked, options })).toEqual([]);
});

test('a variable that an option or the password refers to is missing', () => {
  const options = { 'access-key-id': 'env:ID', 'secret-access-key': 'file:/etc/key' };
  const passwordReference = 'env:HOLDFAST_PASSWORD';
  expect(missingVariables({ ...asked, options, passwordReference })).toEqual(['HOLDFAST_PASSWORD', 'ID']);
  const kept = 'ID=a\nHOLDFAST_PASSWORD=b\n';
  expect(missingVariables({ ...asked, options, passwordReference, kept })).toEqual([]);
});

test("only variables that the repository's kind reads count", () => {
  const env = { ...keys, RESTIC_REST_PASSWORD: 'p', RCLONE_CONFIG: '/c', RESTIC_REST_USERNAME: '' };
  expect(missingVariables({ ...asked, env, location: '/mnt/backup' })).toEqual([]);
  expect(missingVariables({ ...asked, env, location: 'rest:https://h/' })).toEqual(['RESTIC_REST_PASSWORD']);
  expect(missingVariables({ ...asked, env, location: 'rclone:far:x' })).toEqual(['RCLONE_CONFIG']);
});
