import { quote } from '../../../model/quote.ts';
import type { AuditedMount } from '../audit-view.ts';
import type { Rule } from '../rule.ts';

export const writableConfiguration: Rule = {
  id: 'HF-S003',
  name: 'writable-configuration',
  severity: 'hygiene',
  title: 'Configuration or certificates are mounted without ":ro"',
  meaning: 'The app, or what breaks into it, can change its own configuration and keys on the machine.',
  onRequest: true,
  *check({ services }) {
    for (const { subject, key, mounts } of services)
      for (const mount of mounts) {
        if (!isConfiguration(mount)) continue;
        const { source, target, place } = mount;
        yield {
          subject,
          key: `${key} ${target}`,
          message: `${quote(subject.name)} can write to ${quote(source ?? '')}, which looks like configuration`,
          evidence: [`It is mounted at ${quote(target)} without ":ro".`],
          remedy: 'Add ":ro" unless the app writes it itself',
          place,
        };
      }
  },
};

function isConfiguration({ type, source, target, readOnly }: AuditedMount): boolean {
  if (type !== 'bind' || source === undefined || readOnly) return false;
  return (
    /\.(?:conf|cfg|cnf|ini|ya?ml|toml|json|xml|properties|env|crt|cer|pem|key|pub)$/i.test(target) ||
    /^\/etc\/(?!localtime|timezone)/.test(target) ||
    /\/(?:certs?|ssl|tls)$/i.test(target) ||
    target.endsWith('/docker-entrypoint-initdb.d')
  );
}
