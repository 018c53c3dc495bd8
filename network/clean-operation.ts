import { routeText, ruleText } from './coordination/coordination-commands.ts';
import type { NeighbourEntry, PolicyRule, PolicyTableRoute } from './coordination/coordination-operation.ts';
import { replyMarkTable } from './coordination/reply-marks.ts';
import { ipInNamespace } from './link-operation.ts';

/** One thing taken away, in one namespace, for good. */
export type CleanOperation =
  | { readonly op: 'delete-link' | 'set-up' | 'remove-port'; readonly ifName: string }
  | { readonly op: 'delete-route'; readonly route: PolicyTableRoute }
  | { readonly op: 'delete-rule'; readonly rule: PolicyRule }
  | { readonly op: 'delete-neighbour'; readonly neighbour: NeighbourEntry }
  | { readonly op: 'delete-reply-marks' };

/** As an operator would type it on the node; `netns` is absent for what is done there. */
export function asCleanCommand(operation: CleanOperation, netns?: string): string {
  const ip = ipInNamespace(netns);
  switch (operation.op) {
    case 'delete-link':
      return `${ip} link del dev ${operation.ifName}`;
    case 'set-up':
      return `${ip} link set dev ${operation.ifName} up`;
    case 'remove-port':
      return `${ip} link set dev ${operation.ifName} nomaster`;
    case 'delete-route':
      return `${ip} ${operation.route.dst.includes(':') ? '-6 ' : ''}route del ${routeText(operation.route)}`;
    case 'delete-rule':
      return `${ip} ${ruleText(operation.rule, 'del')}`;
    case 'delete-neighbour':
      return `${ip} neigh del ${operation.neighbour.address} dev ${operation.neighbour.ifName}`;
    case 'delete-reply-marks':
      return `${netns === undefined ? '' : `nsenter --net=${netns} `}nft delete table inet ${replyMarkTable}`;
    default:
      return operation satisfies never;
  }
}
