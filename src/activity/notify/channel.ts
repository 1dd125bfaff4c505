import type { NoticeEvent, NoticeWork } from './notifier.ts';

/** A way to tell people, as holdfast.yaml describes it. Secrets are references (`file:`, `env:`, `exec:`). */
export type Channel =
  | WebhookChannel
  | EmailChannel
  | NtfyChannel
  | DiscordChannel
  | SlackChannel
  | HealthchecksChannel;

export interface ChannelBasics {
  readonly name: string;
  readonly on: readonly NoticeEvent[];
  /** Globs of volumes and paths; none means all. */
  readonly volumes: readonly string[];
  /** Names of policies; none means all, and what no policy asked for. */
  readonly policies: readonly string[];
  /** Templates; undefined takes what reads well. */
  readonly title: string | undefined;
  readonly message: string | undefined;
  /** How long it is tried again. */
  readonly retryForMs: number;
}

/** An http or https address, or a reference to one: such an address often is a secret by itself. */
export type AddressOrReference = string;

export interface WebhookChannel extends ChannelBasics {
  readonly type: 'webhook';
  readonly url: AddressOrReference;
  readonly method: 'POST' | 'PUT';
  /** Values may be references. */
  readonly headers: Readonly<Record<string, string>>;
  /** A template; undefined sends everything there is as JSON. */
  readonly body: string | undefined;
}

export interface EmailChannel extends ChannelBasics {
  readonly type: 'email';
  readonly server: string;
  readonly port: number | undefined;
  readonly encryption: 'tls' | 'starttls' | 'none';
  /** Of the authority that the server's certificate is from; undefined trusts the usual ones. */
  readonly caFile: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly from: string;
  readonly to: readonly string[];
}

export interface NtfyChannel extends ChannelBasics {
  readonly type: 'ntfy';
  /** The server and the topic: `https://ntfy.sh/my-topic`. */
  readonly url: AddressOrReference;
  readonly token: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

export interface DiscordChannel extends ChannelBasics {
  readonly type: 'discord';
  readonly url: AddressOrReference;
}

/** Slack, and what takes its webhooks: Mattermost, Rocket.Chat. */
export interface SlackChannel extends ChannelBasics {
  readonly type: 'slack';
  readonly url: AddressOrReference;
}

/** Pings that a watch from outside waits for: healthchecks.io, and what works like it. */
export interface HealthchecksChannel extends ChannelBasics {
  readonly type: 'healthchecks';
  readonly url: AddressOrReference;
  /** A ping for each volume: its name takes the place of `{volume}` in the address, or follows it. */
  readonly perVolume: boolean;
  readonly works: readonly NoticeWork[];
}
