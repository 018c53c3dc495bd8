import { together } from '../../deploy/dev/together.ts';
import type { FleetNode } from './fleet-node.ts';
import type { CniCommand, FleetPod } from './fleet-pod.ts';
import { tiedNetwork } from './networks.ts';
import type { CniOutcome } from './runner-messages.ts';

/** Names of a pod's interfaces as Multus gives them. */
export const nicNames = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => (index === 0 ? 'eth0' : `net${index}`));

export interface NicOutcome extends CniOutcome {
  readonly pod: FleetPod;
  readonly ifName: string;
}

/**
 * Calls one command for each interface of each pod, as Multus does: one after the other within a pod, for a DEL from the last one
 * on; so many pods at once on each node. Pods that are not on these nodes are left out.
 */
export async function callForNics(
  command: CniCommand,
  pods: readonly FleetPod[],
  nics: readonly string[],
  podsAtOncePerNode: number,
): Promise<readonly NicOutcome[]> {
  const outcomes: NicOutcome[] = [];
  const order = command === 'DEL' ? nics.toReversed() : nics;
  const one = async (pod: FleetPod): Promise<void> => {
    for (const ifName of order) {
      const outcome = await pod.call(command, { network: tiedNetwork, ifName });
      outcomes.push({ ...outcome, pod, ifName });
      if (command === 'ADD' && outcome.exitCode !== 0) return; // a runtime goes no further
    }
  };
  const onNode = async (some: readonly FleetPod[]): Promise<void> => {
    const waiting = some.values();
    const lane = async (): Promise<void> => {
      for (const pod of waiting) await one(pod);
    };
    await together(Array.from({ length: podsAtOncePerNode }, lane));
  };
  const byNode: ReadonlyMap<FleetNode, readonly FleetPod[]> = Map.groupBy(pods, ({ node }) => node);
  await together([...byNode.values()].map(onNode));
  return outcomes;
}
