import { quote } from '../../../model/quote.ts';
import type { Rule } from '../rule.ts';

export const confinementOff: Rule = {
  id: 'HF-S008',
  name: 'confinement-off',
  severity: 'leak',
  title: 'seccomp, AppArmor or SELinux is turned off for a container',
  meaning: 'What breaks into the app is one mistake of the kernel away from all data of the machine.',
  *check({ services }) {
    for (const { subject, key, privileged, securityOptions, place } of services) {
      const off = securityOptions.filter((option) =>
        /^(?:seccomp[:=]unconfined|apparmor[:=]unconfined|label[:=]disable|systempaths[:=]unconfined)$/i.test(
          option.replace(/\s/g, ''),
        ),
      );
      // A privileged container has none of them anyway, and a rule of its own.
      if (off.length === 0 || privileged) continue;
      const path = place.path === undefined ? undefined : [...place.path, 'security_opt'];
      yield {
        subject,
        key,
        message: `${quote(subject.name)} runs with ${off.map(quote).join(' and ')}`,
        evidence: [`security_opt: ${off.join(', ')}`],
        remedy:
          'Take these options away; where the app needs one call more, give it a profile that allows that call',
        place: {
          ...place,
          path,
          position: path === undefined ? undefined : place.project?.project.positionOf(path),
        },
      };
    }
  },
};
