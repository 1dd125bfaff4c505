import { cleanPath, isWithin } from '../../../model/clean-path.ts';
import { quote } from '../../../model/quote.ts';
import type { Rule } from '../rule.ts';

const sockets = ['docker.sock', 'podman/podman.sock', 'containerd/containerd.sock', 'crio/crio.sock'].map(
  (name) => `/run/${name}`,
);

export const dockerSocket: Rule = {
  id: 'HF-S001',
  name: 'engine-socket',
  severity: 'leak',
  title: 'A container can reach the engine’s socket',
  meaning:
    'Who can talk to the engine can read and remove every volume and become root of the machine; ":ro" makes only the name of the socket read-only.',
  *check({ services }) {
    for (const { subject, key, mounts } of services)
      for (const { type, source, target, readOnly, place } of mounts) {
        if (type !== 'bind' || source === undefined) continue;
        // "/var/run" is a link to "/run".
        const real = cleanPath(source).replace(/^\/var\/run(?=\/|$)/, '/run');
        const socket = sockets.find((path) => isWithin(path, real)) ?? userSocket(real);
        if (socket === undefined) continue;
        yield {
          subject,
          key: `${key} ${target}`,
          message:
            socket === real
              ? `${quote(subject.name)} has the engine’s socket`
              : `${quote(subject.name)} has ${quote(source)}, and the engine’s socket with it`,
          evidence: [`${quote(source)} is mounted at ${quote(target)}${readOnly ? ', ":ro"' : ''}.`],
          remedy:
            socket !== real
              ? 'Mount only the folders that the app needs, none of them above the socket'
              : 'Take the mount away, or put a proxy before the socket that lets through only what the service asks for',
          place,
        };
      }
  },
};

function userSocket(real: string): string | undefined {
  return /^\/run\/user\/\d+\/(?:docker|podman\/podman)\.sock$/.test(real) ? real : undefined;
}
