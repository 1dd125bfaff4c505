import { ioctl } from '../../lib/ioctl.ts';

const getAttributes = 0x801c_581f;
const setAttributes = 0x401c_5820;
const attributesBytes = 28;
const projectAt = 12;

/**
 * Takes our own file out of the folder's project, so that it does not use the quota of the folder's programs.
 * Does nothing where there are no projects, or without the right.
 */
export function leaveProject(fd: number): void {
  const attributes = Buffer.alloc(attributesBytes);
  if (ioctl(fd, getAttributes, 'void *', attributes) !== 0) return;
  if (attributes.readUInt32LE(projectAt) === 0) return;
  attributes.writeUInt32LE(0, projectAt);
  ioctl(fd, setAttributes, 'void *', attributes);
}
