/** A rule's section of docs/policy.md: the heading is the tag, below it three labelled lines. */

const labels = ['Protects from', 'Refuses when', 'To allow it'] as const;
export type Label = (typeof labels)[number];

/** What stands behind each label below a rule's heading; those that are not there are left out. */
export function ruleSection(docs: string, tag: string): { readonly [L in Label]?: string } {
  const [, section = ''] = `\n${docs}`.split(`\n### ${tag}\n`);
  const [own = ''] = section.split(/\n#{1,3} /);
  const items = own.split(/^- /m);
  const found = labels.flatMap((label) => {
    const item = items.find((each) => each.startsWith(`**${label}**`));
    return item === undefined
      ? []
      : [
          [
            label,
            item
              .slice(label.length + 4)
              .replace(/\s+/g, ' ')
              .trim(),
          ] as const,
        ];
  });
  return Object.fromEntries(found);
}

/** The rules that the docs have a section for, in their order. */
export function documentedTags(docs: string): readonly string[] {
  return [...docs.matchAll(/^### (policy-\S+)$/gm)].map(([, tag = '']) => tag);
}
