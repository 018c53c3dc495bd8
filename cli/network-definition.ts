import { ProvisionError } from '../contracts/failures.ts';
import type { NetworkConf } from '../contracts/pod-network.ts';
import { parseConf, parseNetworkConf } from '../workers/node/network-conf.ts';

/** What a network definition asks of us, or why that cannot be told. */
export type NetworkReading =
  | { readonly outcome: 'network'; readonly network: NetworkConf }
  | { readonly outcome: 'unreadable'; readonly problem: string };

/**
 * Reads the CNI configuration of a NetworkAttachmentDefinition (`spec.config`), one plugin or a list, as the node worker reads what
 * it is called with. `name` is the definition's, which Multus gives a configuration that has none.
 */
export function readNetworkDefinition(config: string, name: string): NetworkReading {
  const unreadable = (problem: string): NetworkReading => ({ outcome: 'unreadable', problem });
  let json: Json;
  try {
    json = objectIn(JSON.parse(config) as unknown);
  } catch {
    return unreadable('its spec.config is no JSON object');
  }
  const plugins = Array.isArray(json['plugins']) ? json['plugins'].map(objectIn) : [json];
  const ours = plugins.find((plugin) => kindOf(plugin) !== undefined);
  const plugin = ours && kindOf(ours);
  if (ours === undefined || plugin === undefined) {
    return unreadable('it asks for no addresses: no plugin of it is of type orbweaver or has ipam of type spiderpool');
  }
  const { cniVersion = '1.0.0' } = json;
  const text = JSON.stringify({ ...ours, cniVersion, name: json['name'] ?? name });
  try {
    return { outcome: 'network', network: parseNetworkConf(plugin, parseConf(new TextEncoder().encode(text))) };
  } catch (error) {
    if (!(error instanceof ProvisionError)) throw error;
    return unreadable(error.message);
  }
}

type Json = Readonly<Record<string, unknown>>;

const objectIn = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});

function kindOf(plugin: Json): 'orbweaver' | 'spiderpool' | undefined {
  if (plugin['type'] === 'orbweaver') return 'orbweaver';
  const type = objectIn(plugin['ipam'])['type'];
  return type === 'spiderpool' || type === 'orbweaver' ? 'spiderpool' : undefined;
}
