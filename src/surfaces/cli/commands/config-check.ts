import { quote } from '../../../model/quote.ts';
import type { Session } from '../session.ts';

export async function runConfigCheck(session: Session): Promise<void> {
  const { file, policies, repositories, notify } = await session.app.policies.configuration();
  const known = [...repositories.keys(), ...(await session.app.repositories.list()).map(({ name }) => name)];
  for (const { name, repositories: wanted } of policies)
    for (const repository of wanted)
      if (/^[\w-]+$/.test(repository) && !known.includes(repository))
        session.warn(
          `Warning: the policy ${quote(name)} names the repository ${quote(repository)}, which is not known. Add it with "holdfast repo add", or describe it below "repositories".`,
        );
  session.printer.print({
    json: () => ({
      file,
      policies: policies.map(({ name }) => name),
      repositories: [...repositories.keys()],
      channels: notify.map(({ name }) => name),
    }),
    text: () => {
      if (file === undefined) return 'There is no configuration file: the defaults count.';
      const counts = [
        count(policies.length, 'policy', 'policies'),
        count(repositories.size, 'repository', 'repositories'),
        count(notify.length, 'channel', 'channels'),
      ];
      return `${file} is good: ${counts.join(', ')}.`;
    },
    quiet: () => (file === undefined ? [] : [file]),
  });
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}
