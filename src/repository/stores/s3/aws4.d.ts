declare module 'aws4' {
  interface SignRequest {
    readonly service: 's3';
    readonly region: string;
    readonly method: string;
    readonly host: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
  }
  interface SignCredentials {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string | undefined;
  }
  const aws4: {
    /** Adds the headers that sign the request. */
    sign(
      request: SignRequest,
      credentials: SignCredentials,
    ): { headers: Record<string, string>; path: string };
  };
  export default aws4;
}
