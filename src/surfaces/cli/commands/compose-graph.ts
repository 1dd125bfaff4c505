import { type ComposeFlags, composeRequestOf, warnOfUnseen } from '../compose-request.ts';
import type { Session } from '../session.ts';

export async function runComposeGraph(session: Session, flags: ComposeFlags): Promise<void> {
  const { app, signal, printer } = session;
  const drawn = await app.compose.graph(composeRequestOf(session, flags), { signal });
  printer.print({
    json: () => ({ ...drawn.graph, unseen: drawn.unseen }),
    text: drawn.text,
    forms: { mermaid: drawn.mermaid, svg: drawn.svg },
    quiet: () => drawn.graph.volumes.map(({ label }) => label),
  });
  warnOfUnseen(session, drawn.unseen);
}
