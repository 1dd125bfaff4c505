/** Of the machine with all that is in it. */
const folders =
  /^\/(?:proc|sys|dev|run|var\/run|lib\/modules|usr\/lib\/modules|boot|var\/lib\/docker|var\/lib\/containers)(?:\/|$)/;
const files =
  /^\/etc\/(?:localtime|timezone|hosts|hostname|resolv\.conf|machine-id|ssl\/certs|environment|passwd|group|g?shadow)(?:\/|$)|\.sock$/;
/** Of the machine as a whole, where what is in it may be an application's. */
const wholes = /^\/(?:|etc|usr|bin|sbin|lib|lib32|lib64|var|var\/lib)$/;

/** True for a path that containers mount to reach the machine and not to keep data: `/proc`, a socket, `/etc/localtime`, `/`. Pure. */
export function isOfMachine(path: string): boolean {
  return folders.test(path) || files.test(path) || wholes.test(path);
}
