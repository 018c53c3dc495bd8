import type { LinkShape } from '../contracts/pod-network.ts';
import type { ReversibleOperation } from './link-operation.ts';
import { type DesiredAttachment, type ObservedSurroundings, planAttachment } from './plan-attachment.ts';

/** What CHECK found: a sentence for each thing that would have to be done again. Empty when all is as it was made. `mac`: what was answered. */
export function attachmentDifferences(
  observed: ObservedSurroundings,
  desired: DesiredAttachment,
  mac?: string,
): string[] {
  const plan = planAttachment(observed, desired);
  if (plan.outcome === 'refused') return [plan.failure.message];
  const missing = plan.operations.find(({ op }) => op === 'create-link');
  if (missing !== undefined) return [`Interface "${desired.ifName}" is gone`];
  return [...macDifference(observed, desired, mac), ...plan.operations.map(difference)];
}

function macDifference({ pod }: ObservedSurroundings, { ifName, ...link }: DesiredAttachment, mac?: string): string[] {
  const found = pod.links.find((one) => one.ifName === ifName)?.mac;
  if (mac === undefined || !hasOwnMac(link) || found === mac) return [];
  return [`Interface "${ifName}" has MAC ${found} instead of ${mac}`];
}

/** Every other kind follows its parent, whose MAC may change: that of a bond does with its first port. */
const hasOwnMac = (link: LinkShape): boolean => link.kind === 'macvlan' && link.mode !== 'passthru';

/** What CHECK says of something that would have to be done again. */
export function difference(operation: ReversibleOperation): string {
  const { ifName } = operation;
  switch (operation.op) {
    case 'set-alias':
      return `Interface "${ifName}" carries the alias "${operation.was}" instead of "${operation.alias}"`;
    case 'set-mtu':
      return `Interface "${ifName}" has an MTU of ${operation.was} instead of ${operation.mtuBytes}`;
    case 'set-up':
      return `Interface "${ifName}" is down`;
    case 'add-address':
      return `Interface "${ifName}" has lost address ${operation.address}`;
    case 'add-route':
      return `The route to ${operation.dst} via ${operation.gateway} on "${ifName}" is gone`;
    case 'create-link':
    case 'create-bond':
    case 'add-port':
    case 'remove-port':
    case 'set-active-port':
    case 'set-down':
    case 'delete-address':
    case 'delete-route':
      return `Interface "${ifName}" would need ${operation.op}`;
    default:
      return operation satisfies never;
  }
}
