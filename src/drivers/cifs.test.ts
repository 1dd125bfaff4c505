import { describe, expect, test } from 'vitest';
import { checkCifs, cifsDriver, cifsServer, cifsWords, parseCredentials } from './cifs.ts';

const cifs = (options: Record<string, string>): Record<string, string> => ({ type: 'cifs', ...options });

describe('the options of cifs', () => {
  test.each([
    [{ device: '//nas/share' }, { host: 'nas', port: 445 }],
    [
      { device: '//nas/share/folder', o: 'port=4450' },
      { host: 'nas', port: 4450 },
    ],
    [
      { device: '//nas/share', o: 'addr=10.0.0.5' },
      { host: '10.0.0.5', port: 445 },
    ],
    [{ device: '\\\\nas\\share' }, { host: 'nas', port: 445 }],
    [{ device: '//[fe80::1]/share' }, { host: 'fe80::1', port: 445 }],
  ])('%j is the server %j', (options, server) => {
    expect(cifsServer(checkCifs(cifs(options)))).toMatchObject(server);
  });

  test.each([
    [{}, 'missing required option: "device"'],
    [{ device: 'nas/share' }, 'is not //SERVER/SHARE'],
    [{ device: '//nas' }, 'is not //SERVER/SHARE'],
    [{ device: '//nas:445/share' }, "port not allowed in CIFS device URL, include 'port' in 'o='"],
    [{ device: '//nas/share', o: 'username=me,password=hunter2' }, 'would be seen by everybody'],
    [{ device: '//nas/share', o: 'user=me%hunter2' }, 'would be seen by everybody'],
    [{ device: '//nas/share', o: 'username=me,pass=hunter2' }, 'would be seen by everybody'],
    [{ device: '//nas/share', password: 'hunter2' }, 'option "password" is not a reference'],
    [{ device: '//nas/share', credentials: '/etc/secret' }, 'option "credentials" is not a reference'],
    [{ device: '//nas/share', colour: 'red' }, 'invalid option: "colour"'],
  ])('%j is refused without showing a secret: %s', (options, words) => {
    const refusal = (): unknown => checkCifs(cifs(options));
    expect(refusal).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(words) as string }) as Error,
    );
    expect(refusal).not.toThrow('hunter2');
  });

  test('mount gets the user and the domain of the credentials, and no password', () => {
    const login = parseCredentials('username=me\npassword=a=b, c \ndomain=WORK\n');
    expect(login).toEqual({ username: 'me', password: 'a=b, c ', domain: 'WORK' });
    expect(cifsWords(cifs({ o: 'vers=3.0,addr=10.0.0.5' }), login)).toEqual([
      'vers=3.0',
      'ip=10.0.0.5',
      'username=me',
      'domain=WORK',
    ]);
    expect(cifsWords(cifs({ o: 'username=you' }), login)).toEqual(['username=you', 'domain=WORK']);
  });

  test('nothing prompts for a password: without a user it is the guest', () => {
    expect(cifsWords(cifs({}), {})).toEqual(['guest']);
    expect(cifsWords(cifs({ o: 'sec=krb5' }), {})).toEqual(['sec=krb5']);
  });

  test('credentials without a user are refused', () => {
    expect(() => parseCredentials('password=x')).toThrow('no line "username=…"');
  });
});

test('a server that is not there is named before the secret is read', async () => {
  const secret = async (): Promise<Uint8Array> => {
    throw new Error('it was read');
  };
  const driver = cifsDriver({ secret });
  const options = cifs({ device: '//127.0.0.1/share', o: 'port=9', password: 'env:NONE' });
  const volume = { name: 'some-volume', options, folder: '/nowhere', mountpoint: '/nowhere/_data' };
  await expect(driver.mount(volume)).rejects.toMatchObject({
    code: 'unavailable',
    message:
      'Cannot mount volume "some-volume": nothing listens on port 9 of "127.0.0.1", where SMB should be',
  });
});
