import { printableField } from '../../../model/quote.ts';
import type { Session } from '../session.ts';

export interface TagFlags {
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
  readonly set?: readonly string[];
}

export async function runTag(session: Session, flags: TagFlags, snapshots: readonly string[]): Promise<void> {
  const change = {
    add: tagsOf(flags.add ?? []),
    remove: tagsOf(flags.remove ?? []),
    set: flags.set === undefined ? undefined : tagsOf(flags.set),
  };
  const changed = await session.app.retention.changeTags(
    { snapshots, change },
    { signal: session.signal, onNote: session.warn },
  );
  session.printer.print({
    json: () => changed.map(({ before, after }) => ({ id: after.id, formerId: before.id, tags: after.tags })),
    text: () =>
      changed
        .map(({ before, after }) => {
          const from = before.id.slice(0, 8);
          const tags = after.tags.length === 0 ? 'no tags' : printableField(after.tags.join(','));
          return before.id === after.id
            ? `${from}: ${tags}, as before`
            : `${after.id.slice(0, 8)}: ${tags} (was ${from})`;
        })
        .join('\n'),
    quiet: () => changed.map(({ after }) => after.id),
  });
}

function tagsOf(texts: readonly string[]): string[] {
  return texts.flatMap((text) => text.split(',')).filter((tag) => tag !== '');
}
