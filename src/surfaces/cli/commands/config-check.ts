import type { Session } from '../session.ts';

export async function runConfigCheck(session: Session): Promise<void> {
  const { file, policies, repositories, notify } = await session.app.configuration();
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
