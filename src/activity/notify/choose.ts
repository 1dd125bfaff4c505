import { compileGlob, matchesGlob } from '../../model/glob.ts';
import type { Channel, ChannelBasics } from './channel.ts';
import type { Happening } from './notifier.ts';
import type { Notice } from './plan-notice.ts';

/** True when the channel's filters match the happening's subject and policy. */
export function isAbout({ volumes, policies }: ChannelBasics, { subject, policy }: Happening): boolean {
  const isVolume =
    volumes.length === 0 || volumes.some((glob) => matchesGlob(compileGlob(glob, glob), subject));
  return isVolume && (policies.length === 0 || (policy !== undefined && policies.includes(policy)));
}

export function wantedBy(channel: Channel, notices: readonly Notice[]): Notice[] {
  return notices.filter(({ event, happening }) => channel.on.includes(event) && isAbout(channel, happening));
}
