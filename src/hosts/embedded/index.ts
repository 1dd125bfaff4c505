export { type EmbeddedHostOptions, openEmbeddedHost } from './embedded-host.ts';
