import { describe, expect, test } from 'vitest';
import { AppError } from '../../model/errors.ts';
import { parseLocation } from './parse-location.ts';

describe('parseLocation()', () => {
  test.each([
    ['/var/backup', '/var/backup'],
    ['/var//backup/', '/var/backup'],
    ['backup', '/home/me/backup'],
    ['./s3:odd', '/home/me/s3:odd'],
    ['../x', '/home/x'],
    ['local:/var/backup', '/var/backup'],
    ['c', '/home/me/c'],
  ])('"%s" is the directory "%s"', (text, directory) => {
    expect(parseLocation(text, '/home/me')).toEqual({ kind: 'local', directory, text: directory });
  });

  test.each([
    ['s3:https://minio.example:9000/b1/a/b', 'https://minio.example:9000', 'b1', 'a/b'],
    ['s3:https://minio.example/b1', 'https://minio.example', 'b1', ''],
    ['s3:http://127.0.0.1:9000/b1//a/', 'http://127.0.0.1:9000', 'b1', 'a'],
    ['s3:http://[::1]:9000/b1/a', 'http://[::1]:9000', 'b1', 'a'],
    ['s3:minio.example:9000/b1/a', 'https://minio.example:9000', 'b1', 'a'],
    ['s3://minio.example/b1/a', 'https://minio.example', 'b1', 'a'],
    ['s3:localhost/b1', 'https://localhost', 'b1', ''],
    ['s3:s3.amazonaws.com/b1/a', undefined, 'b1', 'a'],
    ['s3:b1/a/b', undefined, 'b1', 'a/b'],
    ['s3:my.bucket', undefined, 'my.bucket', ''],
    ['s3:https://h.example/b1/a%20b', 'https://h.example', 'b1', 'a b'],
  ])('"%s" is S3', (text, endpoint, bucket, prefix) => {
    expect(parseLocation(text)).toMatchObject({ kind: 's3', endpoint, bucket, prefix });
  });

  test.each([
    ['sftp:me@host:/srv/x', 'me', 'host', undefined, '/srv/x'],
    ['sftp:host:x/y/', undefined, 'host', undefined, 'x/y'],
    ['sftp:me@[::1]:/srv/x', 'me', '::1', undefined, '/srv/x'],
    ['sftp://me@host:2222//srv/x', 'me', 'host', 2222, '/srv/x'],
    ['sftp://host/x', undefined, 'host', undefined, 'x'],
    ['sftp://me@[::1]:22//srv', 'me', '::1', 22, '/srv'],
  ])('"%s" is SFTP', (text, user, host, port, path) => {
    expect(parseLocation(text)).toMatchObject({ kind: 'sftp', user, host, port, path });
  });

  test.each([
    ['rest:https://host:8000/a', 'https://host:8000/a/', undefined],
    ['rest:http://me@host/', 'http://host/', 'me'],
    ['rest:https://host', 'https://host/', undefined],
  ])('"%s" is a REST server', (text, url, user) => {
    expect(parseLocation(text)).toMatchObject({ kind: 'rest', url, user });
  });

  test.each(['remote:path/to', 'remote:', ':local:/srv/x'])('"rclone:%s" is a remote of rclone', (remote) => {
    expect(parseLocation(`rclone:${remote}`)).toEqual({ kind: 'rclone', remote, text: `rclone:${remote}` });
  });

  test('the canonical text parses to the same location', () => {
    for (const text of [
      's3:https://minio.example:9000/b1/a/b',
      's3:my-bucket/a',
      's3:s3.amazonaws.com/b1',
      'sftp:me@host:/srv/x',
      'sftp://me@host:2222//srv/x',
      'sftp://me@host:2222/x',
      'sftp:me@[::1]:/srv/x',
      'rest:https://me@host:8000/a',
      'rclone:remote:path',
      '/var/backup',
    ]) {
      const location = parseLocation(text);
      expect(parseLocation(location.text)).toEqual(location);
    }
  });

  test.each([
    's3:https://AKIA:hunter2@host/bucket',
    's3:https://hunter2@host/bucket',
    'sftp://me:hunter2@host/x',
    'sftp:me:hunter2@host:/x',
    'rest:https://me:hunter2@host/',
    'rclone::s3,secret_access_key=hunter2:bucket',
    'rclone::sftp,pass=hunter2,host=h:x',
    's3:https://me:hunter2@/bucket',
    'rest:https://me:hunter2@ho st/',
  ])('the secret in "%s" is refused, and not repeated', (text) => {
    const error = errorOf(text);
    expect(error.code).toBe('usage');
    expect(`${error.message} ${error.detail} ${error.hint}`).not.toContain('hunter2');
  });

  test.each([
    ['', 'usage'],
    ['s3:', 'usage'],
    ['s3:https://host', 'usage'],
    ['s3:https://host/bu cket', 'usage'],
    ['s3:bucket/../other', 'usage'],
    ['sftp:host', 'usage'],
    ['sftp:-oProxyCommand=x:/srv', 'usage'],
    ['sftp:-l@host:/srv', 'usage'],
    ['sftp://-oProxyCommand=x/srv', 'usage'],
    ['sftp:host:', 'usage'],
    ['rest:host:8000/', 'usage'],
    ['rest:https://host/?x=1', 'usage'],
    ['rclone:remote', 'usage'],
    ['rclone:--config=x:y', 'usage'],
    ['rest:https://host/\n', 'usage'],
    ['azure:container', 'unsupported'],
    ['b2:bucket', 'unsupported'],
  ])('"%s" is refused as "%s"', (text, code) => {
    expect(errorOf(text).code).toBe(code);
  });
});

function errorOf(text: string): AppError {
  try {
    parseLocation(text);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error(`"${text}" was accepted`);
}
