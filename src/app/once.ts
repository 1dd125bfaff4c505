/**
 * Opens at the first call, and gives all calls the same. A failure goes to the calls that wait for it; the
 * next call tries again.
 */
export function once<T>(open: () => Promise<T>): () => Promise<T> {
  let opening: Promise<T> | undefined;
  return () => {
    if (opening !== undefined) return opening;
    const attempt = open();
    opening = attempt;
    attempt.catch(() => (opening = undefined));
    return attempt;
  };
}

/** The same for what `opened` closes: a failed attempt closes what it has opened before the next one. */
export function onceIn<T>(
  opened: AsyncDisposableStack,
  open: (attempt: AsyncDisposableStack) => Promise<T>,
): () => Promise<T> {
  return once(async () => {
    await using attempt = new AsyncDisposableStack();
    const result = await open(attempt);
    opened.use(attempt.move());
    return result;
  });
}
