import { asIpType } from './link-operation.ts';
import type { ObservedLink } from './observed-namespace.ts';

/** A link that is in the way, for a message. */
export function describeLink({ kind, shape, mac, alias, parentIndex }: ObservedLink): string {
  const facts = [
    shape === undefined ? (kind ?? 'device') : asIpType(shape),
    ...(mac === '' ? [] : [`MAC ${mac}`]),
    ...(parentIndex === undefined ? [] : [`on link ${parentIndex}`]),
    ...(alias === '' ? [] : [`alias "${alias}"`]),
  ];
  return facts.join(', ');
}
