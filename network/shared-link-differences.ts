import type { SharedLinkConf } from '../contracts/shared-link.ts';
import type { ReversibleOperation } from './link-operation.ts';
import { type ObservedNode, planSharedLinks } from './plan-shared-links.ts';

/** What CHECK found of the links beneath an attachment: a sentence for each. Empty when all are as they were made. */
export function sharedLinkDifferences(observed: ObservedNode, wanted: readonly SharedLinkConf[]): string[] {
  const plan = planSharedLinks(observed, wanted);
  if (plan.outcome === 'refused') return [plan.failure.message];
  const made = new Set(plan.operations.filter(isCreation).map(({ ifName }) => ifName));
  return plan.operations.flatMap((operation) => {
    const { op, ifName } = operation;
    if (isCreation(operation)) return [`Link "${ifName}" of the node is gone`];
    if (op === 'add-port') {
      return made.has(operation.controller) ? [] : [`"${ifName}" is no longer a port of "${operation.controller}"`];
    }
    return op === 'set-up' && !made.has(ifName) ? [`Link "${ifName}" of the node is down`] : [];
  });
}

const isCreation = ({ op }: ReversibleOperation): boolean => op === 'create-link' || op === 'create-bond';
