import type { Host } from '../hosts/host.ts';
import type { Protection } from '../activity/protection.ts';

/** A machine on which each name can be had once, whatever the state folder. */
export class ClaimingMachine {
  readonly taken: string[] = [];

  async claim(what: string): ReturnType<NonNullable<Host['claim']>> {
    if (this.taken.includes(what)) return { heldBy: { pid: 7 } };
    this.taken.push(what);
    return {
      [Symbol.asyncDispose]: async () => void this.taken.splice(this.taken.indexOf(what), 1),
    };
  }

  /** The same parts, with a host that is on this machine. */
  async around(parts: Protection): Promise<Protection> {
    const host = { ...(await parts.host()), claim: (what: string) => this.claim(what) };
    return { ...parts, host: async () => host };
  }
}
