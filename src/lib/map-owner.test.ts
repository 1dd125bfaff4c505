import { expect, test } from 'vitest';
import { parseOwnerMap } from '../model/owner-map.ts';
import { mapOwner } from './map-owner.ts';
import { formatAcl, parseAcl } from './tar/posix-acl.ts';

test('mapOwner() changes owners and the ids that ACLs name, and nothing else', () => {
  const value = parseAcl('user::rw-,user:999:r--,group::r--,group:50:r--,mask::r--,other::---');
  if (value === undefined) throw new Error('no ACL');
  const attribute = { name: 'user.note', value: Buffer.from('999') };
  const thing = {
    uid: 999,
    gid: 50,
    mode: 0o640,
    xattrs: [{ name: 'system.posix_acl_access', value }, attribute],
  };
  const mapped = mapOwner(thing, parseOwnerMap(['999:100999', 'g:50:100050']));
  expect(mapped).toMatchObject({ uid: 100999, gid: 100050, mode: 0o640 });
  expect(formatAcl(mapped.xattrs[0]?.value ?? new Uint8Array())).toBe(
    'user::rw-,user:100999:r--,group::r--,group:100050:r--,mask::r--,other::---',
  );
  expect(mapped.xattrs[1]).toBe(attribute);
  expect(formatAcl(value)).toContain('user:999:');
  expect(mapOwner(thing, undefined)).toBe(thing);
});
