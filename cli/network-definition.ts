import type { PluginName } from '../contracts/cni.ts';
import { type Failure, ProvisionError, toFailure } from '../contracts/failures.ts';
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
  try {
    return { outcome: 'network', network: networkOf(plugin, { ...ours, cniVersion, name: json['name'] ?? name }) };
  } catch (error) {
    if (!(error instanceof ProvisionError)) throw error;
    return unreadable(error.message);
  }
}

/** One plugin of a configuration, in the order in which a runtime calls them. */
export type DefinedPlugin =
  | {
      readonly outcome: 'ours';
      readonly type: 'orbweaver' | 'ifacer' | 'rdma' | 'coordinator';
      readonly network: NetworkConf;
    }
  /** `network`: what it asks of us as its IPAM; absent: it has another one, or none. */
  | { readonly outcome: 'foreign'; readonly type: string; readonly network?: NetworkConf }
  | { readonly outcome: 'refused'; readonly type: string; readonly failure: Failure };

export type PluginsReading =
  | { readonly outcome: 'plugins'; readonly name: string; readonly plugins: readonly DefinedPlugin[] }
  | { readonly outcome: 'unreadable'; readonly problem: string };

/** Reads every plugin of a CNI configuration, one or a list; `name` where it has none. */
export function readPlugins(config: string, name: string): PluginsReading {
  let json: Json;
  try {
    json = objectIn(JSON.parse(config) as unknown);
  } catch {
    return { outcome: 'unreadable', problem: 'it is no JSON object' };
  }
  const list = Array.isArray(json['plugins']) ? json['plugins'].map(objectIn) : [json];
  const { name: own = name } = json;
  const named = { name: own, cniVersion: json['cniVersion'] ?? '1.0.0' };
  if (list.some(({ type }) => typeof type !== 'string')) {
    return { outcome: 'unreadable', problem: 'a plugin of it has no type' };
  }
  const plugins = list.map((plugin) => readPlugin({ ...plugin, ...named }, String(plugin['type'])));
  return { outcome: 'plugins', name: typeof own === 'string' ? own : name, plugins };
}

function readPlugin(plugin: Json, type: string): DefinedPlugin {
  try {
    switch (type) {
      case 'rdma':
      case 'coordinator':
        // What the plugins before it have made: a runtime passes it on.
        return { outcome: 'ours', type, network: networkOf(type, { ...plugin, prevResult: {} }) };
      case 'ifacer':
      case 'orbweaver':
        return { outcome: 'ours', type, network: networkOf(type, plugin) };
      default: {
        if (kindOf(plugin) === undefined) return { outcome: 'foreign', type };
        return { outcome: 'foreign', type, network: networkOf('spiderpool', plugin) };
      }
    }
  } catch (error) {
    return { outcome: 'refused', type, failure: toFailure(error) };
  }
}

const networkOf = (plugin: PluginName, json: Json): NetworkConf =>
  parseNetworkConf(plugin, parseConf(new TextEncoder().encode(JSON.stringify({ ...chosenLater(json), ...json }))));

/** Stands for the VF of a configuration that names none: the device plugin chooses one for each pod, and Multus passes it on. */
export const deviceChosenLater = '0000:00:00.0';

const chosenLater = ({ type, kind }: Json): Json =>
  type === 'rdma' || kind === 'sriov' || kind === 'ib-sriov' ? { deviceID: deviceChosenLater } : {};

type Json = Readonly<Record<string, unknown>>;

const objectIn = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});

function kindOf(plugin: Json): 'orbweaver' | 'spiderpool' | undefined {
  if (plugin['type'] === 'orbweaver') return 'orbweaver';
  const type = objectIn(plugin['ipam'])['type'];
  return type === 'spiderpool' || type === 'orbweaver' ? 'spiderpool' : undefined;
}
