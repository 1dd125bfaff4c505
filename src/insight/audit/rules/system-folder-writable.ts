import { cleanPath, isWithin } from '../../../model/clean-path.ts';
import { quote } from '../../../model/quote.ts';
import type { Rule } from '../rule.ts';

/** A folder in one of these is the machine's as well. */
const wholeTrees = [
  '/etc',
  '/boot',
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib64',
  '/proc',
  '/sys',
  '/root/.ssh',
];
/** These alone: what is in them is often an app's own. */
const folders = [
  '/',
  '/var',
  '/var/lib',
  '/var/lib/docker',
  '/var/lib/docker/volumes',
  '/dev',
  '/run',
  '/var/run',
  '/root',
  '/home',
];
/** What belongs to an app though it lies there. */
const harmless =
  /^\/(?:usr\/(?:local\/)?(?:share|src)|etc\/(?:letsencrypt|localtime|timezone)|dev\/(?:shm|dri|net\/tun))(?:\/|$)/;

export const systemFolderWritable: Rule = {
  id: 'HF-S002',
  name: 'system-folder-writable',
  severity: 'leak',
  title: 'A container can write to a folder of the machine’s system',
  meaning:
    'What breaks out of the app can change the machine: its users, its programs, the data of all volumes.',
  *check({ services }) {
    for (const { subject, key, mounts } of services)
      for (const { type, source, target, readOnly, place } of mounts) {
        if (type !== 'bind' || source === undefined || readOnly) continue;
        const real = cleanPath(source);
        if (harmless.test(real)) continue;
        if (!folders.includes(real) && !wholeTrees.some((tree) => isWithin(real, tree))) continue;
        yield {
          subject,
          key: `${key} ${target}`,
          message: `${quote(subject.name)} can write to ${quote(source)} of the machine`,
          evidence: [`It is mounted at ${quote(target)} without ":ro".`],
          remedy: 'Mount only the file or folder that the app needs, with ":ro"',
          place,
        };
      }
  },
};
