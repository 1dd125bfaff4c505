import { BlockList, isIP } from 'node:net';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';

/** A TCP address: a number of IPv4 or IPv6, never a name. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** True for an address that only this machine reaches. */
export function isLoopback({ host }: ListenAddress): boolean {
  return loopback.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4');
}

/** `127.0.0.1:9464`, `[::1]:9464`, `localhost:9464`; `usage` for anything else. */
export function parseAddress(text: string): ListenAddress {
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? (plain === 'localhost' ? '127.0.0.1' : plain) ?? '';
  const port = Number(digits);
  const family = bracketed === undefined ? 4 : 6;
  if (isIP(host) !== family || port < 1 || port > 65_535) {
    throw new AppError('usage', `${quote(text)} is no address to listen at`, {
      hint: 'It is a number and a port: 127.0.0.1:9464, or [::1]:9464.',
    });
  }
  return { host, port };
}
