import type { ChildProcess } from 'node:child_process';

/**
 * Keeps this thread alive for a child process only while something awaits it. Otherwise an idle thread ends,
 * which closes the child's pipes: a child that reads its standard input ends too.
 */
export class ChildHold {
  readonly #child: ChildProcess;
  #count = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#apply('unref');
  }

  /** Waits for the child until the hold is disposed. */
  take(): Disposable {
    if (this.#count++ === 0) this.#apply('ref');
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        if (--this.#count === 0) this.#apply('unref');
      },
    };
  }

  #apply(what: 'ref' | 'unref'): void {
    const { stdin, stdout, stderr } = this.#child;
    this.#child[what]();
    for (const stream of [stdin, stdout, stderr]) {
      // The streams are sockets, which the types do not say. Calling this on a closed one would wait for a
      // connection.
      if (stream?.destroyed === false) (stream as Partial<Record<typeof what, () => void>>)[what]?.();
    }
  }
}
