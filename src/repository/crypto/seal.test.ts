import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { newMasterKey } from './key-file.ts';
import {
  type MasterKey,
  openPortableAuthenticator,
  openSslAuthenticator,
  openSslCounterMode,
  portableCounterMode,
  Sealer,
  sealOverhead,
} from './seal.ts';

const key = newMasterKey();
const sealer = new Sealer(key);
const portable = new Sealer(key, {
  openCounter: portableCounterMode,
  openMac: openPortableAuthenticator,
});

const messages = fc.uint8Array({ maxLength: 300 });

test('sealing and opening preserves a message, and the sealed form does not show it', () => {
  fc.assert(
    fc.property(messages, (message) => {
      const sealed = sealer.seal(message);
      expect(sealed.length).toBe(message.length + sealOverhead);
      if (message.length > 8) expect(sealed.includes(Buffer.from(message))).toBe(false);
      expect([...sealer.openInPlace(sealed)]).toEqual([...message]);
    }),
  );
});

test('sealing in place touches its own bytes only', () => {
  const buffer = Buffer.alloc(200, 0xaa);
  buffer.write('the message', 50 + 16);
  expect(sealer.sealInPlace(buffer, 50, 11)).toBe(11 + sealOverhead);
  expect(buffer.subarray(0, 50)).toEqual(Buffer.alloc(50, 0xaa));
  expect(buffer.subarray(50 + 11 + sealOverhead)).toEqual(Buffer.alloc(200 - 50 - 11 - sealOverhead, 0xaa));
  expect(sealer.openInPlace(buffer.subarray(50, 50 + 11 + sealOverhead)).toString()).toBe('the message');
});

test('every flipped bit and every lost byte is noticed', () => {
  const sealed = sealer.seal(Buffer.from('forty-two bytes of a message to be sealed.'));
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const altered = Buffer.from(sealed);
    altered.writeUInt8(altered.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    expect(() => sealer.openInPlace(altered), `bit ${bit}`).toThrow(
      expect.objectContaining({ code: 'integrity' }),
    );
  }
  for (let length = 0; length < sealed.length; length++) {
    expect(() => sealer.openInPlace(Buffer.from(sealed.subarray(0, length))), `${length} bytes`).toThrow(
      expect.objectContaining({ code: 'integrity' }),
    );
  }
});

test('an altered message is left unchanged', () => {
  const sealed = sealer.seal(Buffer.from('message'));
  sealed.writeUInt8(sealed.readUInt8(20) ^ 1, 20);
  const before = Buffer.from(sealed);
  expect(() => sealer.openInPlace(sealed)).toThrow('altered');
  expect(sealed).toEqual(before);
});

test.each(['encrypt', 'macK', 'macR'] as const)(
  'a message is opened by the very key only: another %s',
  (part) => {
    const other: MasterKey = { ...newMasterKey(), ...key, [part]: newMasterKey()[part] };
    const opener = new Sealer(other);
    const sealed = sealer.seal(Buffer.from('a message of some length'));
    // The cipher's key is not part of the authentication: a wrong one gives other bytes, not an error.
    if (part === 'encrypt')
      expect(opener.openInPlace(sealed).toString()).not.toBe('a message of some length');
    else expect(() => opener.openInPlace(sealed)).toThrow('another key');
  },
);

test('the same message never looks the same twice', () => {
  const seen = new Set(Array.from({ length: 50 }, () => sealer.seal(Buffer.from('same')).toString('hex')));
  expect(seen.size).toBe(50);
});

test('each implementation of the cipher opens what the other sealed', () => {
  fc.assert(
    fc.property(messages, (message) => {
      expect([...portable.openInPlace(sealer.seal(message))]).toEqual([...message]);
      expect([...sealer.openInPlace(portable.seal(message))]).toEqual([...message]);
    }),
  );
});

test('both ways of calling the cipher give the same key stream, also where the counter overflows', () => {
  const secret = randomBytes(32);
  const openSsl = openSslCounterMode(secret);
  if (!openSsl) throw new Error('The OpenSSL of this process cannot be called');
  for (const iv of [
    Buffer.alloc(16),
    Buffer.alloc(16, 0xff),
    Buffer.from(`${'00'.repeat(7)}ff${'ff'.repeat(8)}`, 'hex'),
  ]) {
    const [first, second] = [Buffer.alloc(1000), Buffer.alloc(1000)];
    openSsl(iv, Buffer.alloc(1000, 1), first);
    portableCounterMode(secret)(iv, Buffer.alloc(1000, 1), second);
    expect(first).toEqual(second);
  }
});

/** From the paper that defines Poly1305-AES (D. J. Bernstein, appendix B): four messages with their keys, nonces and tags. */
test.each([
  {
    k: 'ec074c835580741701425b623235add6',
    r: '851fc40c3467ac0be05cc20404f3f700',
    nonce: 'fb447350c4e868c52ac3275cf9d4327e',
    message: 'f3f6',
    tag: 'f4c633c3044fc145f84f335cb81953de',
  },
  {
    k: '75deaa25c09f208e1dc4ce6b5cad3fbf',
    r: 'a0f3080000f46400d0c7e9076c834403',
    nonce: '61ee09218d29b0aaed7e154a2c5509cc',
    message: '',
    tag: 'dd3fab2251f11ac759f0887129cc2ee7',
  },
  {
    k: '6acb5f61a7176dd320c5c1eb2edcdc74',
    r: '48443d0bb0d21109c89a100b5ce2c208',
    nonce: 'ae212a55399729595dea458bc621ff0e',
    message: '663cea190ffb83d89593f3f476b6bc24d7e679107ea26adb8caf6652d0656136',
    tag: '0ee1c16bb73f0f4fd19881753c01cdbe',
  },
  {
    k: 'e1a5668a4d5b66a5f68cc5424ed5982d',
    r: '12976a08c4426d0ce8a82407c4f48207',
    nonce: '9ae831e743978d3a23527c7128149e3a',
    message:
      'ab0812724a7f1e342742cbed374d94d136c6b8795d45b3819830f2c04491faf0990c62e48b8018b2c3e4a0fa3134cb67fa83e158c994d961c4cb21095c1bf9',
    tag: '5154ad0d2cb26e01274fc51148491f1b',
  },
])('the authenticator agrees with the paper that defines it: $tag', ({ k, r, nonce, message, tag }) => {
  const hex = (text: string): Buffer => Buffer.from(text, 'hex');
  const opener = new Sealer({ encrypt: key.encrypt, macK: hex(k), macR: hex(r) });
  // The tag covers the ciphertext, so a message with that tag opens, whatever it decrypts to.
  const opened = opener.openInPlace(Buffer.concat([hex(nonce), hex(message), hex(tag)]));
  expect(opened.length).toBe(message.length / 2);
});

test('both authenticators give the same tag for any length', () => {
  const openSsl = openSslAuthenticator();
  if (!openSsl) throw new Error('The OpenSSL of this process cannot be called');
  const portableMac = openPortableAuthenticator();
  const [first, second] = [Buffer.alloc(16), Buffer.alloc(16)];
  for (const length of [0, 1, 15, 16, 17, 63, 64, 65, 1000, 70_000]) {
    const [text, oneTimeKey] = [randomBytes(length), randomBytes(32)];
    openSsl(first, text, oneTimeKey);
    portableMac(second, text, oneTimeKey);
    expect(first, `${length} bytes`).toEqual(second);
  }
});
