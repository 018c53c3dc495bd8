import { hostname } from 'node:os';
import { controlNamespace, nodeNamespace } from '../../temporal-config/queues.ts';

/** Everything that the control worker is told; read once, at start. */
export interface ControlWorkerConfig {
  /** Names this replica in logs and, with a part that no other life of it has, in the Lease. */
  readonly name: string;
  /** Where the Lease is. */
  readonly namespace: string;
  /** Empty: the service account of the pod that this runs in. */
  readonly kubeconfig: string;
  readonly temporalAddress: string;
  /** Where the runs of this side are, and where those of the nodes are. */
  readonly temporalNamespaces: { readonly control: string; readonly node: string };
  /** Prebuilt workflow code; empty: bundled at start, which costs a second. */
  readonly workflowBundle: string;
  readonly logLevel: string;
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error'];

/** Parses the environment and reports all problems together: key, value found, values allowed. */
export function parseConfig(environment: Readonly<Record<string, string | undefined>>): ControlWorkerConfig {
  const problems: string[] = [];
  const config: ControlWorkerConfig = {
    name: environment['ORBWEAVER_REPLICA_NAME'] || hostname(),
    namespace: environment['ORBWEAVER_NAMESPACE'] || 'orbweaver-system',
    kubeconfig: environment['KUBECONFIG'] ?? '',
    temporalAddress: environment['ORBWEAVER_TEMPORAL_ADDRESS'] ?? '',
    temporalNamespaces: {
      control: environment['ORBWEAVER_TEMPORAL_CONTROL_NAMESPACE'] || controlNamespace,
      node: environment['ORBWEAVER_TEMPORAL_NAMESPACE'] || nodeNamespace,
    },
    workflowBundle: environment['ORBWEAVER_WORKFLOW_BUNDLE'] ?? '',
    logLevel: environment['ORBWEAVER_LOG_LEVEL'] || 'info',
  };
  if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(config.namespace)) {
    problems.push(`ORBWEAVER_NAMESPACE is "${config.namespace}", allowed: the name of a namespace`);
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
