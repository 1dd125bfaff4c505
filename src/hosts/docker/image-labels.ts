import { AppError, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { EngineClient } from './engine-client.ts';
import type { EngineContainer, EngineInspection } from './engine-types.ts';

type Labels = Readonly<Record<string, string>>;

const action = 'Cannot read the labels of an image';

/** Maximum number of cached images; a machine rarely uses more. */
const rememberedAtMost = 1000;

/** The labels of images, each requested once: an image with other labels has another id. */
export class ImageLabels {
  readonly #client: Pick<EngineClient, 'json'>;
  readonly #known = new Map<string, Labels>();
  readonly #asking = new Map<string, Promise<Labels | undefined>>();

  constructor(client: Pick<EngineClient, 'json'>) {
    this.#client = client;
  }

  /**
   * The labels of a container's image; undefined when the engine no longer has it, or cannot read it: one
   * broken image must not prevent saving the rest. A container without labels needs no request. `denied`
   * where the engine may not be asked.
   */
  async of(
    { Image: id, Config: config }: EngineInspection,
    signal: AbortSignal | undefined,
  ): Promise<Labels | undefined> {
    if (Object.keys(config?.Labels ?? {}).length === 0) return {};
    if (!id) return undefined;
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    if (signal?.aborted === true) throw cancelled(signal);
    const asking = this.#asking.get(id) ?? this.#ask(id).finally(() => this.#asking.delete(id));
    this.#asking.set(id, asking);
    const labels = await unlessAborted(asking, signal);
    if (labels !== undefined && this.#known.size < rememberedAtMost) this.#known.set(id, labels);
    return labels;
  }

  /** No caller's signal cancels it, as others may wait for the same response; its deadline bounds it. */
  async #ask(id: string): Promise<Labels | undefined> {
    try {
      const { Config: config } = await this.#client.json<{
        readonly Config?: { readonly Labels?: Labels | null } | null;
      }>({
        method: 'GET',
        path: `/images/${encodeURIComponent(id)}/json`,
        action,
      });
      return config?.Labels ?? {};
    } catch (error) {
      if (isAppError(error, 'not-found') || isAppError(error, 'failed')) return undefined;
      throw isAppError(error, 'denied') ? notShown(id, error) : error;
    }
  }
}

/** A shared request continues for other callers. */
async function unlessAborted<T>(asked: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await asked;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(cancelled(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([asked, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function cancelled({ reason }: AbortSignal): AppError {
  return new AppError('cancelled', `${action}: cancelled`, { cause: reason });
}

/** Without them, labels of the image's author cannot be told from the user's. */
function notShown(id: string, cause: AppError): AppError {
  return new AppError('denied', `Cannot read the labels of the image ${quote(id)}`, {
    detail: cause.detail,
    hint: 'What stands between Holdfast and the engine has to let "GET /images/ID/json" through. For docker-socket-proxy: IMAGES=1.',
    cause,
  });
}

export const helperLabel = 'holdfast.helper';
export const helperNamePrefix = 'holdfast-helper-';

/**
 * True for our helpers, which are never consumers. A started container is not a helper, whatever its labels
 * say.
 */
export function isHelper(container: EngineContainer): boolean {
  return (
    container.Labels?.[helperLabel] === 'true' &&
    (container.State === 'created' || container.State === 'removing' || container.State === 'dead') &&
    (container.Names ?? []).every((name) => name.startsWith(`/${helperNamePrefix}`))
  );
}
