/**
 * The three functions of the "reflect-metadata" proposal that @peculiar/x509's dependency tsyringe asks for when it is
 * loaded. Import this before that library.
 */

const metadata = new WeakMap<object, Map<unknown, unknown>>();

function get(key: unknown, target: object): unknown {
  return metadata.get(target)?.get(key);
}

const polyfill = {
  getMetadata: get,
  getOwnMetadata: get,
  defineMetadata(key: unknown, value: unknown, target: object): void {
    metadata.set(target, (metadata.get(target) ?? new Map<unknown, unknown>()).set(key, value));
  },
};

// Where a full implementation is loaded already, it stays.
if (!('getMetadata' in Reflect)) Object.assign(Reflect, polyfill);
