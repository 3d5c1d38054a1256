/** The name somebody probably meant. */

/** How many letters have to be put in, taken out or changed to turn one text into the other (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const changed = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** The known name nearest to `name`; undefined where none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const wanted = name.slice(0, 100).toLowerCase();
  let found: string | undefined;
  let least = Math.ceil(wanted.length / 2);
  for (const candidate of known) {
    const far = distance(wanted, candidate.toLowerCase());
    if (far >= least) continue;
    least = far;
    found = candidate;
  }
  return found;
}
