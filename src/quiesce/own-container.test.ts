import { expect, test } from 'vitest';
import { parseMountinfo } from '../lib/mountinfo.ts';
import { ownContainerId } from './own-container.ts';

const id = 'c0ffee'.padEnd(64, '0');

test.each([
  ['Docker', `/var/lib/docker/containers/${id}/hostname`],
  ['Podman', `/var/lib/containers/storage/overlay-containers/${id}/userdata/hostname`],
])('knows the container that it runs in under %s', (_, root) => {
  const text = `600 500 8:1 ${root} /etc/hostname rw,relatime - ext4 /dev/sda1 rw\n`;
  expect(ownContainerId(parseMountinfo(text))).toBe(id);
});

test('finds no container of its own on a machine that runs containers', () => {
  const text =
    `22 1 8:1 / / rw - ext4 /dev/sda1 rw\n` +
    `700 22 0:44 / /var/lib/docker/containers/${id}/mounts/shm rw - tmpfs shm rw\n`;
  expect(ownContainerId(parseMountinfo(text))).toBeUndefined();
});
