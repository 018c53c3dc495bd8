import { hostname } from 'node:os';
import { type ClusterSettings, readClusterSettings } from '../../contracts/cluster-settings.ts';
import { controlNamespace, nodeNamespace } from '../../temporal-config/queues.ts';
import { isListenAddress } from '../metrics/http-server.ts';
import { readWebhookConfig, type WebhookConfig } from './webhooks/webhook-config.ts';

/** Everything that the control worker is told; read once, at start. */
export interface ControlWorkerConfig {
  /** Names this replica in logs and, with a part that no other life of it has, in the Lease. */
  readonly name: string;
  /** The same in every worker of the cluster; its namespace is also where the Lease is. */
  readonly cluster: ClusterSettings;
  /** Absent: nothing checks pools and Subnets. */
  readonly webhook?: WebhookConfig;
  /** Namespace/name of Cilium's ConfigMap, where it says which addresses pods have. */
  readonly ciliumConfigMap: string;
  /** Empty: the service account of the pod that this runs in. */
  readonly kubeconfig: string;
  readonly temporalAddress: string;
  /** Where the runs of this side are, and where those of the nodes are. */
  readonly temporalNamespaces: { readonly control: string; readonly node: string };
  /** Prebuilt workflow code; empty: bundled at start, which costs a second. */
  readonly workflowBundle: string;
  /** "host:port" each, or empty: not served. */
  readonly metricsAddress: string;
  readonly healthAddress: string;
  /** Also metrics of which there is one for each pool and subnet. */
  readonly hasDebugMetrics: boolean;
  readonly logLevel: string;
}

const configMapPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?\/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/;
const logLevels = ['trace', 'debug', 'info', 'warn', 'error'];

/** Parses the environment and reports all problems together: key, value found, values allowed. */
export function parseConfig(environment: Readonly<Record<string, string | undefined>>): ControlWorkerConfig {
  const problems: string[] = [];
  const webhook = readWebhookConfig(environment, problems);
  const config: ControlWorkerConfig = {
    name: environment['ORBWEAVER_REPLICA_NAME'] || hostname(),
    cluster: readClusterSettings(environment, problems),
    ...(webhook && { webhook }),
    ciliumConfigMap: environment['ORBWEAVER_CILIUM_CONFIGMAP'] || 'kube-system/cilium-config',
    kubeconfig: environment['KUBECONFIG'] ?? '',
    temporalAddress: environment['ORBWEAVER_TEMPORAL_ADDRESS'] ?? '',
    temporalNamespaces: {
      control: environment['ORBWEAVER_TEMPORAL_CONTROL_NAMESPACE'] || controlNamespace,
      node: environment['ORBWEAVER_TEMPORAL_NAMESPACE'] || nodeNamespace,
    },
    workflowBundle: environment['ORBWEAVER_WORKFLOW_BUNDLE'] ?? '',
    metricsAddress: environment['ORBWEAVER_METRICS_ADDRESS'] ?? '127.0.0.1:5721',
    healthAddress: environment['ORBWEAVER_HEALTH_ADDRESS'] ?? '127.0.0.1:5720',
    hasDebugMetrics: environment['ORBWEAVER_DEBUG_METRICS'] === 'true',
    logLevel: environment['ORBWEAVER_LOG_LEVEL'] || 'info',
  };
  for (const key of ['ORBWEAVER_METRICS_ADDRESS', 'ORBWEAVER_HEALTH_ADDRESS'] as const) {
    const value = environment[key] ?? '';
    if (!isListenAddress(value)) problems.push(`${key} is "${value}", allowed: host:port, or nothing`);
  }
  if (!configMapPattern.test(config.ciliumConfigMap)) {
    problems.push(`ORBWEAVER_CILIUM_CONFIGMAP is "${config.ciliumConfigMap}", allowed: namespace/name`);
  }
  const debug = environment['ORBWEAVER_DEBUG_METRICS'] || 'false';
  if (debug !== 'true' && debug !== 'false') {
    problems.push(`ORBWEAVER_DEBUG_METRICS is "${debug}", allowed: true, false`);
  }
  if (!/^[^\s:]+:\d+$/.test(config.temporalAddress)) {
    problems.push(`ORBWEAVER_TEMPORAL_ADDRESS is "${config.temporalAddress}", allowed: host:port`);
  }
  if (!logLevels.includes(config.logLevel)) {
    problems.push(`ORBWEAVER_LOG_LEVEL is "${config.logLevel}", allowed: ${logLevels.join(', ')}`);
  }
  if (problems.length > 0) throw new Error(`Cannot start with this configuration:\n- ${problems.join('\n- ')}`);
  return config;
}
