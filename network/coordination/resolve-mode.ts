import type { CoordinationMode } from '../../contracts/coordination.ts';
import type { Failure } from '../../contracts/failures.ts';
import { vethInPod } from './pod-layout.ts';

export type ModeResolution =
  | { readonly outcome: 'mode'; readonly mode: 'underlay' | 'overlay' }
  | { readonly outcome: 'disabled' }
  | { readonly outcome: 'refused'; readonly failure: Failure };

/** Which way an interface is tied to its node (spec/connectivity.md §1.4). */
export function resolveMode(asked: {
  readonly mode: CoordinationMode;
  readonly ifName: string;
  readonly firstNic: string;
  /** The pod has the veth pair of an earlier underlay interface. */
  readonly hasVeth: boolean;
}): ModeResolution {
  const { mode, ifName, firstNic, hasVeth } = asked;
  const isFirst = ifName === firstNic;
  switch (mode) {
    case 'disabled':
      return { outcome: 'disabled' };
    case 'auto':
      return { outcome: 'mode', mode: isFirst || hasVeth ? 'underlay' : 'overlay' };
    case 'underlay':
      if (isFirst || hasVeth) return { outcome: 'mode', mode };
      return refused(
        `Cannot tie "${ifName}" to the node in underlay mode: the pod has no "${vethInPod}", which its first interface "${firstNic}" would have brought`,
        `Enable the coordinator for the network of "${firstNic}", too, or set mode to auto or overlay`,
      );
    case 'overlay':
      if (isFirst) {
        return refused(
          `Cannot tie "${ifName}" to the node in overlay mode: it is the pod's first interface, and overlay mode goes through that one`,
          'Set mode to auto or underlay for this network',
        );
      }
      if (hasVeth) {
        return refused(
          `Cannot tie "${ifName}" to the node in overlay mode: the pod has "${vethInPod}", so its first interface "${firstNic}" is in underlay mode`,
          'Set mode to auto or underlay for this network',
        );
      }
      return { outcome: 'mode', mode };
    default:
      return mode satisfies never;
  }
}

const refused = (message: string, remedy: string): ModeResolution => ({
  outcome: 'refused',
  failure: { type: 'InvalidConfig', message, remedy },
});
