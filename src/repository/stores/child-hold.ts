import type { ChildProcess } from 'node:child_process';

/**
 * Keeps this thread alive for a child process only while it is waited for. A thread that has nothing else to do ends
 * then, and its end closes the child's pipes: a child that reads its standard input ends too.
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
      // They are sockets, which the types do not know. One that is closed would wait for a connection to do it.
      if (stream?.destroyed === false) (stream as Partial<Record<typeof what, () => void>>)[what]?.();
    }
  }
}
