import type { ChannelSpec } from './notify-spec.ts';

export interface ConfigurationRequest {
  readonly schedule: string;
  /** The repository of the policy, by name or location; undefined is the default one. */
  readonly repository: string | undefined;
  readonly channels: readonly ChannelSpec[];
}

/** The name of the policy that setup writes. */
export const setupPolicy = 'nightly';

/** A whole `holdfast.yaml`. Pure. */
export function configurationText(request: ConfigurationRequest): string {
  return `# What Holdfast keeps safe by itself. All that can stand here is in docs/guides/policies.md.
# After a change: holdfast config check && systemctl reload holdfast

${policyText(request)}${request.channels.length === 0 ? '' : `\n${channelsText(request.channels)}`}`;
}

/** Also shown to the user, to add to an existing file. */
export function policyText({
  schedule,
  repository,
}: Pick<ConfigurationRequest, 'schedule' | 'repository'>): string {
  return `policies:
  # All volumes, those that come later too, and the directories that containers mount.
  ${setupPolicy}:
    bind-mounts: true
    schedule: ${quoted(schedule)}
    keep: { daily: 7, weekly: 4, monthly: 12 }
${repository === undefined ? '' : `    repositories: ${quoted(repository)}\n`}`;
}

export function channelsText(channels: readonly ChannelSpec[]): string {
  const lines = nameChannels(channels).map(
    ({ name, type, url }) => `  ${name}: { type: ${type}, url: ${quoted(url)} }\n`,
  );
  return `notify:\n${lines.join('')}`;
}

function nameChannels(channels: readonly ChannelSpec[]): (ChannelSpec & { readonly name: string })[] {
  return channels.map((channel, i) => {
    const before = channels.slice(0, i).filter(({ type }) => type === channel.type).length;
    return { ...channel, name: before === 0 ? channel.type : `${channel.type}-${before + 1}` };
  });
}

/** A double-quoted YAML string is a JSON string. */
function quoted(text: string): string {
  return /^[^'\\\p{Cc}]*$/u.test(text) ? `'${text}'` : JSON.stringify(text);
}
