/** Blinded paths as offers carry them (BOLT 4 "blinded_path"): for whom to expect an invoice from. */

import { WireError } from '../../proto/hsmd/codec.ts';

const pointLength = 33;
const shortChannelIdLength = 9;

/** The node at the end of each path, 33 bytes each: it signs the invoices asked for over that path. Throws WireError. */
export function pathEnds(paths: Uint8Array): readonly Uint8Array[] {
  const ends: Uint8Array[] = [];
  let at = 0;
  const skip = (length: number): number => {
    const start = at;
    at += length;
    if (at > paths.length)
      throw new WireError(`expected ${length} bytes of a path, found ${paths.length - start}`, start);
    return start;
  };
  while (at < paths.length) {
    // The first node is a key, or a direction and a short channel id.
    skip((paths[at] ?? 0) < 2 ? shortChannelIdLength : pointLength);
    skip(pointLength);
    const hops = paths[skip(1)] ?? 0;
    for (let hop = 0; hop < hops; hop++) {
      const node = skip(pointLength);
      if (hop === hops - 1) ends.push(paths.subarray(node, node + pointLength));
      const length = skip(2);
      skip((paths[length] ?? 0) * 256 + (paths[length + 1] ?? 0));
    }
  }
  return ends;
}
