import type { ApplicationPoolReport } from '../contracts/application-pool.ts';

/** The current details of an application's pool, as the Temporal UI shows them (Markdown): its state, why, and every pool. */
export function toMarkdown({ state, why, wanted, pools, done }: ApplicationPoolReport): string {
  const facts = [
    `State: ${state}${why === '' ? '' : `: ${why}`}`,
    `Wanted: ${wanted === undefined ? 'no pool' : `${wanted} addresses`}`,
    ...(done.length === 0 ? [] : [`Last look: ${done.join('; ')}`]),
  ];
  const rows = pools.map(({ name, subnet, size, role }) => `| \`${name}\` | ${role} | ${size} | ${subnet} |`);
  const table =
    rows.length === 0 ? [] : [['| Pool | Role | Addresses | Subnet |', '|---|---|---|---|', ...rows].join('\n')];
  return [facts.map((fact) => `- ${fact}`).join('\n'), ...table].join('\n\n');
}
