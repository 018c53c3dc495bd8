import type { ReversibleOperation } from '../link-operation.ts';
import { type DesiredAttachment, type ObservedSurroundings, planAttachment } from '../plan-attachment.ts';

/** What the plan of an attachment that is not refused does. */
export function plannedOperations(
  observed: ObservedSurroundings,
  desired: DesiredAttachment,
): readonly ReversibleOperation[] {
  const plan = planAttachment(observed, desired);
  if (plan.outcome === 'refused') throw new Error(plan.failure.message);
  return plan.operations;
}
