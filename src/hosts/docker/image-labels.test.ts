import { expect, test } from 'vitest';
import { AppError } from '../../model/errors.ts';
import type { EngineInspection } from './engine-types.ts';
import { refusalError } from './engine-error.ts';
import { ImageLabels } from './image-labels.ts';

const container: EngineInspection = { Id: 'c', Image: 'sha256:1', Config: { Labels: { mine: 'yes' } } };

/** The response of an engine that refuses to show an image. */
function refused(status: number, message: string): Promise<unknown> {
  const json = () => Promise.reject(refusalError('Cannot read', { status, message }));
  return new ImageLabels({ json }).of(container, undefined);
}

test('the labels of a missing or broken image are unknown, and nothing fails', async () => {
  await expect(refused(404, 'No such image: sha256:1')).resolves.toBeUndefined();
  await expect(refused(500, 'layer does not exist')).resolves.toBeUndefined();
});

test('an unreachable engine, or a proxy that hides images, is an error that says what to do', async () => {
  await expect(refused(503, '')).rejects.toMatchObject({ code: 'unavailable' });
  await expect(refused(403, 'Forbidden')).rejects.toMatchObject({
    code: 'denied',
    message: 'Cannot read the labels of the image "sha256:1"',
    hint: expect.stringContaining('IMAGES=1'),
  });
});

test('containers of one image that are looked at side by side ask for it once', async () => {
  let asked = 0;
  const json = async <T>(): Promise<T> => {
    asked++;
    await new Promise((resolve) => setImmediate(resolve));
    return { Config: { Labels: { its: 'own' } } } as T;
  };
  const images = new ImageLabels({ json });
  const all = await Promise.all([1, 2, 3].map(() => images.of(container, undefined)));
  expect(all).toEqual([{ its: 'own' }, { its: 'own' }, { its: 'own' }]);
  expect(asked).toBe(1);
});

test('a caller that cancels leaves the question to the others that wait for it', async () => {
  const answer = Promise.withResolvers<void>();
  const json = async <T>({ signal }: { readonly signal?: AbortSignal | undefined }): Promise<T> => {
    signal?.addEventListener('abort', () => answer.reject(new AppError('cancelled', 'It was cancelled')));
    await answer.promise;
    return { Config: { Labels: { its: 'own' } } } as T;
  };
  const images = new ImageLabels({ json });
  const ending = new AbortController();
  const first = images.of(container, ending.signal);
  const second = images.of(container, new AbortController().signal);
  ending.abort();
  await expect(first).rejects.toMatchObject({ code: 'cancelled' });
  await expect(images.of(container, ending.signal)).rejects.toMatchObject({ code: 'cancelled' });
  answer.resolve();
  expect(await second).toEqual({ its: 'own' });
});
