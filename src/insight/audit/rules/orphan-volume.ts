import { localTime } from '../../../model/local-time.ts';
import { quote } from '../../../model/quote.ts';
import type { AuditedVolume, AuditView } from '../audit-view.ts';
import type { Rule } from '../rule.ts';

export const orphanVolume: Rule = {
  id: 'HF-H001',
  name: 'orphan-volume',
  severity: 'hygiene',
  title: 'No container and no Compose file refers to a volume',
  meaning: 'It takes space, and the next prune removes it, whatever is in it.',
  onRequest: true,
  *check(view) {
    for (const volume of view.volumes) {
      if (!volume.isOnHost || volume.consumers.length > 0 || isInFile(view, volume)) continue;
      const { name, isAnonymous, place } = volume;
      yield {
        subject: { kind: 'volume', name },
        key: name,
        message: `Nothing uses the ${isAnonymous ? 'anonymous ' : ''}volume ${quote(name)}`,
        evidence: [whereFrom(volume), ...createdLine(volume)],
        remedy: 'Look into it, and remove it when nothing in it is of value; Holdfast keeps it in the trash',
        commands: [
          ['holdfast', 'volume', 'browse', name],
          ['holdfast', 'volume', 'rm', name],
        ],
        place,
      };
    }
  },
};

function isInFile({ services, projects }: AuditView, { name }: AuditedVolume): boolean {
  return (
    services.some(({ mounts }) => mounts.some(({ source }) => source === name)) ||
    projects.some(({ project }) => [...project.volumes.values()].some((volume) => volume.name === name))
  );
}

function whereFrom({ stack, labels, isAnonymous }: AuditedVolume): string {
  const key = labels['com.docker.compose.volume'];
  if (stack !== undefined)
    return `The stack ${quote(stack)} made it${key === undefined ? '' : ` as ${quote(key)}`}: the stack was taken down without "-v", or no longer declares it.`;
  if (isAnonymous) return 'A container made it for a VOLUME of its image, and was removed without "-v".';
  return 'It was made by hand, or by "docker run -v", and its container is gone.';
}

function createdLine({ createdAt }: AuditedVolume): string[] {
  return createdAt === undefined ? [] : [`It was made at ${localTime(createdAt)}.`];
}
