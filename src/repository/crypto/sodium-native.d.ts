declare module 'sodium-native' {
  interface Sodium {
    /** Poly1305 of `message` under a one-time key of 32 bytes (r || s), into `mac` of 16 bytes. */
    crypto_onetimeauth(mac: Uint8Array, message: Uint8Array, key: Uint8Array): void;
  }
  const sodium: Sodium;
  export default sodium;
}
