import {
  type CoordinationConf,
  type CoordinationSettings,
  defaultCoordinator,
  type NetworkCoordination,
} from '../../contracts/coordination.ts';
import type { SpiderCoordinator } from '../../contracts/crds/spidercoordinator.ts';
import type { Failure } from '../../contracts/failures.ts';
import { coordinationSettings, parseCoordinationConf } from './parse-coordination.ts';

export type SettingsReading =
  | { readonly outcome: 'settings'; readonly settings: CoordinationSettings }
  | { readonly outcome: 'refused'; readonly failure: Failure };

/** The pod annotation that names the interface of the default route. */
export const defaultRouteAnnotation = 'ipam.spidernet.io/default-route-nic';

/**
 * Settles how one interface of a pod is tied to its node. CIDRs of the cluster come from the coordinator's status, all else
 * from its spec. A list that is not known there refuses only those who need it: coordination is on, and the network
 * configuration does not say the list itself. Throws `InvalidConfig` for a coordinator that admission would have refused.
 */
export function settingsForPod(
  { conf, coordinator: name }: NetworkCoordination,
  annotations: Readonly<Record<string, string>>,
  coordinator: SpiderCoordinator | undefined,
): SettingsReading {
  if (coordinator === undefined && name !== defaultCoordinator) return { outcome: 'refused', failure: noSuchOne(name) };
  const podDefaultRouteNic = annotations[defaultRouteAnnotation]?.trim() ?? '';
  const settings = coordinationSettings({
    conf,
    ...(coordinator === undefined ? {} : { coordinator: confOf(coordinator) }),
    ...(podDefaultRouteNic === '' ? {} : { podDefaultRouteNic }),
  });
  const unknown = (['overlayPodCIDR', 'serviceCIDR'] as const).filter(
    (list) => coordinator !== undefined && conf[list] === undefined && coordinator.status?.[list] === undefined,
  );
  if (settings.mode !== 'disabled' && unknown.length > 0) {
    return { outcome: 'refused', failure: notReady(name, unknown, coordinator?.status?.reason) };
  }
  return { outcome: 'settings', settings };
}

function confOf({ spec, status = {} }: SpiderCoordinator): CoordinationConf {
  const { overlayPodCIDR: _, serviceCIDR: __, ...says } = spec; // the status has them, too, once they are known
  const { overlayPodCIDR, serviceCIDR } = status;
  return parseCoordinationConf({ ...says, overlayPodCIDR, serviceCIDR });
}

const noSuchOne = (name: string): Failure => ({
  type: 'InvalidConfig',
  message: `The network asks for SpiderCoordinator "${name}", and there is none of that name`,
  remedy: `Create it, or correct spiderCoordinator in the network configuration: kubectl get scc`,
});

/** "no ready" is what Spiderpool's users look for. */
const notReady = (name: string, lists: readonly string[], reason: string | undefined): Failure => ({
  type: 'CoordinatorNotReady',
  message: `SpiderCoordinator "${name}" has no ready ${lists.join(' and ')}: ${reason ?? 'no control worker has looked yet'}`,
  remedy: `See kubectl get scc ${name} -o yaml; or write the list into spec.${lists[0] ?? ''} of it, or into the network configuration`,
});
