import { asCommands } from '../coordination-commands.ts';
import type { CoordinationOperation, PolicyRule } from '../coordination-operation.ts';
import type { CoordinationModel } from './coordination-model.ts';

/** What was done, and the pod's and the node's tables after it, as an operator reads them. */
export function podView(title: string, model: CoordinationModel, operations: readonly CoordinationOperation[]): string {
  const tables = [...new Set(model.pod.routes.map(({ table }) => table))].toSorted((one, other) => other - one);
  return [
    `# ${title}`,
    ...asCommands(operations, '/run/netns/pod'),
    '',
    ...model.pod.rules.map((rule) => `pod rule: ${ruleView(rule)}`),
    ...tables.flatMap((table) =>
      model.pod.routes
        .filter((route) => route.table === table)
        .map(
          ({ dst, gateway, ifName }) =>
            `pod table ${table}: ${dst}${gateway === undefined ? '' : ` via ${gateway}`} dev ${ifName}`,
        ),
    ),
    ...model.node.rules.map((rule) => `node rule: ${ruleView(rule)}`),
    ...model.node.routes
      .filter(({ table }) => table === 500)
      .map(({ dst, ifName }) => `node table 500: ${dst} dev ${ifName}`),
    '',
    '',
  ].join('\n');
}

const ruleView = ({ priority, from = 'all', mark, table }: PolicyRule): string =>
  `${priority} from ${from}${mark === undefined ? '' : ` fwmark ${mark}`} lookup ${table}`;
