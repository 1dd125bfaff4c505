/** Why a connection over ssh failed: the words of ssh itself. */
export class SshError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SshError';
  }
}
