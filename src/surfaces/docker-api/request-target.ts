export interface RequestTarget {
  /** As it was sent. */
  readonly rawPath: string;
  /** '' or from the `?` on. */
  readonly query: string;
}

/** The target of a request line. The absolute form (`http://host/path`) is equivalent to the path alone. */
export function splitTarget(target: string): RequestTarget {
  const path = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, '');
  const at = path.indexOf('?');
  const [rawPath, query] = at < 0 ? [path, ''] : [path.slice(0, at), path.slice(at)];
  return { rawPath: rawPath === '' ? '/' : rawPath, query };
}

/** Undefined when it cannot be decoded. */
export function decodePath(rawPath: string): string | undefined {
  try {
    return decodeURIComponent(rawPath);
  } catch {
    return undefined;
  }
}

/** Like Go's `path.Clean` with a trailing slash kept: the form that an engine redirects its clients to. */
export function plainPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}${path.endsWith('/') && parts.length > 0 ? '/' : ''}`;
}

/** The redirect of an engine for a path in another form than the plain one. */
export function plainLocation(plain: string, query: string): string {
  return `${encodeURI(plain)}${query}`;
}
