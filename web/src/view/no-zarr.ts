// Stands where niivue would load zarrita: this viewer opens scans through the server only.
const message = 'zarr volumes are not part of this viewer';

export class FetchStore {
  constructor() {
    throw new Error(message);
  }
}

export function root(): never {
  throw new Error(message);
}

export function open(): never {
  throw new Error(message);
}

export function get(): never {
  throw new Error(message);
}

export function slice(): never {
  throw new Error(message);
}
