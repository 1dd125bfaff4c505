import type { NoticeEvent, NoticeWork } from './notifier.ts';

/**
 * A notification channel as holdfast.yaml describes it. Secrets are references (`file:`, `env:`, `exec:`).
 */
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
  /** Globs of volumes and paths; empty means all. */
  readonly volumes: readonly string[];
  /** Names of policies; empty means all, and work that no policy asked for. */
  readonly policies: readonly string[];
  /** Templates; undefined takes the default texts. */
  readonly title: string | undefined;
  readonly message: string | undefined;
  /** How long a failed message is retried. */
  readonly retryForMs: number;
}

/** An http or https address, or a reference to one: the address itself is often a secret. */
export type AddressOrReference = string;

export interface WebhookChannel extends ChannelBasics {
  readonly type: 'webhook';
  readonly url: AddressOrReference;
  readonly method: 'POST' | 'PUT';
  /** Values may be references. */
  readonly headers: Readonly<Record<string, string>>;
  /** A template; undefined sends all fields as JSON. */
  readonly body: string | undefined;
}

export interface EmailChannel extends ChannelBasics {
  readonly type: 'email';
  readonly server: string;
  readonly port: number | undefined;
  readonly encryption: 'tls' | 'starttls' | 'none';
  /** Of the authority that issued the server's certificate; undefined trusts the system's. */
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

/** Slack, and services that accept its webhooks: Mattermost, Rocket.Chat. */
export interface SlackChannel extends ChannelBasics {
  readonly type: 'slack';
  readonly url: AddressOrReference;
}

/**
 * Pings for an external watch: healthchecks.io and compatible services, or a push monitor of Uptime Kuma,
 * which knows no start.
 */
export interface HealthchecksChannel extends ChannelBasics {
  readonly type: 'healthchecks' | 'uptime-kuma';
  readonly url: AddressOrReference;
  /** A ping for each volume: its name replaces `{volume}` in the address, or is appended. */
  readonly perVolume: boolean;
  readonly works: readonly NoticeWork[];
}
