// A stream of bytes, in pieces as long as one asks for.

export class ByteSource {
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private rest: Uint8Array = new Uint8Array();

  constructor(stream: ReadableStream<Uint8Array>) {
    this.reader = stream.getReader();
  }

  /** Whether there was enough to fill it. */
  async fill(target: Uint8Array): Promise<boolean> {
    for (let done = 0; done < target.length; ) {
      const some = this.rest.length ? this.rest : await this.next();
      if (!some) return false;
      const part = some.subarray(0, target.length - done);
      target.set(part, done);
      done += part.length;
      this.rest = some.subarray(part.length);
    }
    return true;
  }

  putBack(bytes: Uint8Array): void {
    const joined = new Uint8Array(bytes.length + this.rest.length);
    joined.set(bytes);
    joined.set(this.rest, bytes.length);
    this.rest = joined;
  }

  async skip(count: number): Promise<void> {
    await this.fill(new Uint8Array(count));
  }

  private async next(): Promise<Uint8Array | null> {
    return (await this.reader.read()).value ?? null;
  }
}
