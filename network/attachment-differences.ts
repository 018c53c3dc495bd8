import type { ReversibleOperation } from './link-operation.ts';
import { type DesiredAttachment, type ObservedSurroundings, planAttachment } from './plan-attachment.ts';

/** What CHECK found: a sentence for each thing that would have to be done again. Empty when all is as it was made. */
export function attachmentDifferences(observed: ObservedSurroundings, desired: DesiredAttachment): string[] {
  const plan = planAttachment(observed, desired);
  if (plan.outcome === 'refused') return [plan.failure.message];
  const missing = plan.operations.find(({ op }) => op === 'create-link' || op === 'create-pair');
  return missing === undefined ? plan.operations.map(difference) : [`Interface "${desired.ifName}" is gone`];
}

/** What CHECK says of something that would have to be done again. */
export function difference(operation: ReversibleOperation): string {
  const { ifName } = operation;
  const which = 'at' in operation ? `The node’s end "${ifName}"` : `Interface "${ifName}"`;
  switch (operation.op) {
    case 'set-alias':
      return `${which} carries the alias "${operation.was}" instead of "${operation.alias}"`;
    case 'set-mtu':
      return `${which} has an MTU of ${operation.was} instead of ${operation.mtuBytes}`;
    case 'set-up':
      return `${which} is down`;
    case 'add-port':
      return `${which} is no port of "${operation.controller}"`;
    case 'remove-port':
      return `${which} is a port of "${operation.controller}"`;
    case 'add-address':
      return `Interface "${ifName}" has lost address ${operation.address}`;
    case 'add-route':
      return `The route to ${operation.dst} via ${operation.gateway} on "${ifName}" is gone`;
    case 'create-link':
    case 'create-pair':
    case 'create-bond':
    case 'set-active-port':
    case 'set-down':
    case 'delete-address':
    case 'delete-route':
      return `Interface "${ifName}" would need ${operation.op}`;
    default:
      return operation satisfies never;
  }
}
