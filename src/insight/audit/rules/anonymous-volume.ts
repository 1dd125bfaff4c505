import { quote } from '../../../model/quote.ts';
import type { AuditedService } from '../audit-view.ts';
import { unmounted } from '../data-mounts.ts';
import type { Rule } from '../rule.ts';
import { findShadows } from './shadowed-data.ts';

export const anonymousVolume: Rule = {
  id: 'HF-H002',
  name: 'anonymous-volume',
  severity: 'hygiene',
  title: 'A container has a volume without a name',
  meaning: 'Each new container leaves one behind, and what was in it is hard to find again.',
  onRequest: true,
  *check({ services }) {
    for (const service of services) {
      const { subject, key, facts, mounts } = service;
      for (const { target, reason, source } of unnamed(service))
        yield {
          subject,
          key: `${key} ${target}`,
          message: `${quote(subject.name)} has a volume without a name at ${quote(target)}`,
          evidence: [reason, ...(source === undefined ? [] : [`It is ${quote(source)}.`])],
          remedy: facts.volumes.includes(target)
            ? 'Mount a named volume there, or a tmpfs when nothing there has to last'
            : 'Give the volume a name',
          place: mounts.find((mount) => mount.target === target)?.place ?? service.place,
        };
    }
  },
};

interface Unnamed {
  readonly target: string;
  readonly source: string | undefined;
  readonly reason: string;
}

function unnamed(service: AuditedService): Unnamed[] {
  const { facts, mounts } = service;
  const made = mounts
    .filter(({ isAnonymous, type }) => isAnonymous && type === 'volume')
    .map(({ target, source }) => ({ target, source }));
  const willBe = unmounted(service).map((target) => ({ target, source: undefined }));
  // What hides the data beside its volume is told by the rule that says where the mount belongs.
  const told = new Set(findShadows(service).map(({ at }) => at));
  const left = [...made, ...willBe].filter(({ target }) => !told.has(target));
  return left.map(({ target, source }) => ({
    target,
    source,
    reason: facts.volumes.includes(target)
      ? `${facts.from === 'image' ? 'The image declares' : 'Images of this name declare'} it as VOLUME, and nothing else is mounted there.`
      : 'The mount names no source.',
  }));
}
