import koffi from 'koffi';

/** ioctl(2): after the request come the type and the value of its argument. 0 unless it failed. */
export const ioctl = koffi.load(null).func('int ioctl(int fd, unsigned long request, ...)');
