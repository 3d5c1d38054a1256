/** What follows from an immutable object alone is computed once, and kept for as long as the object is. */

export function once<K extends object, V extends object>(compute: (of: K) => V): (of: K) => V {
  const known = new WeakMap<K, V>();
  return (of) => {
    const found = known.get(of);
    if (found !== undefined) return found;
    const computed = compute(of);
    known.set(of, computed);
    return computed;
  };
}
