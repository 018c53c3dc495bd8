import { type ClusterSettings, readClusterSettings } from '../../contracts/cluster-settings.ts';
import { nodeNamespace } from '../../temporal-config/queues.ts';
import { isListenAddress } from '../metrics/http-server.ts';
import { defaultAgentSocket } from './spiderpool-agent.ts';

/** Everything that the node worker is told; read once, at start. */
export interface NodeWorkerConfig {
  readonly nodeName: string;
  /** On tmpfs: socket, `alive`, lock, attachment records. */
  readonly runDirectory: string;
  /** On disk: DELs that wait. */
  readonly queueDirectory: string;
  /** Empty: the service account of the pod that this runs in. */
  readonly kubeconfig: string;
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  /** Prebuilt workflow code; empty: bundled at start, which costs a second. */
  readonly workflowBundle: string;
  /** Names this machine for good, also after a reboot (DMI product UUID, or machine-id where there is none). */
  readonly machineIDFiles: readonly string[];
  readonly kernelThreads: number;
  /** Set forwarding and what else pods need of the node, at start. */
  readonly tunesSysctls: boolean;
  /** The same in every worker of the cluster. */
  readonly cluster: ClusterSettings;
  /** Socket of a Spiderpool agent, which must not answer while this worker serves. */
  readonly spiderpoolSocket: string;
  /** "host:port" each, or empty: not served. */
  readonly metricsAddress: string;
  readonly healthAddress: string;
  readonly logLevel: string;
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error'];

/** Parses the environment and reports all problems together: key, value found, values allowed. */
export function parseConfig(environment: Readonly<Record<string, string | undefined>>): NodeWorkerConfig {
  const problems: string[] = [];
  const text = (key: string, fallback?: string): string => {
    const value = environment[key] ?? fallback ?? '';
    if (value === '' && fallback === undefined) problems.push(`${key} is not set`);
    return value;
  };
  const path = (key: string, fallback: string): string => {
    const value = text(key, fallback);
    if (!value.startsWith('/')) problems.push(`${key} is "${value}", allowed: an absolute path`);
    return value;
  };
  const isOn = (key: string, fallback: boolean): boolean => {
    const value = text(key, String(fallback));
    if (value !== 'true' && value !== 'false') problems.push(`${key} is "${value}", allowed: true, false`);
    return value === 'true';
  };
  const config: NodeWorkerConfig = {
    nodeName: text('ORBWEAVER_NODE_NAME'),
    runDirectory: path('ORBWEAVER_RUN_DIR', '/run/orbweaver'),
    queueDirectory: path('ORBWEAVER_QUEUE_DIR', '/var/lib/orbweaver/queue'),
    kubeconfig: text('KUBECONFIG', ''),
    temporalAddress: text('ORBWEAVER_TEMPORAL_ADDRESS'),
    temporalNamespace: text('ORBWEAVER_TEMPORAL_NAMESPACE', nodeNamespace),
    workflowBundle: text('ORBWEAVER_WORKFLOW_BUNDLE', ''),
    machineIDFiles: text('ORBWEAVER_MACHINE_ID_FILE', '/sys/class/dmi/id/product_uuid:/etc/machine-id').split(':'),
    kernelThreads: Number(text('ORBWEAVER_KERNEL_THREADS', '2')),
    tunesSysctls: isOn('ORBWEAVER_TUNE_SYSCTLS', true),
    cluster: readClusterSettings(environment, problems),
    spiderpoolSocket: path('ORBWEAVER_SPIDERPOOL_SOCKET', defaultAgentSocket),
    metricsAddress: text('ORBWEAVER_METRICS_ADDRESS', '127.0.0.1:5711'),
    healthAddress: text('ORBWEAVER_HEALTH_ADDRESS', '127.0.0.1:5710'),
    logLevel: text('ORBWEAVER_LOG_LEVEL', 'info'),
  };
  for (const [key, value] of [
    ['ORBWEAVER_METRICS_ADDRESS', config.metricsAddress],
    ['ORBWEAVER_HEALTH_ADDRESS', config.healthAddress],
  ] as const) {
    if (!isListenAddress(value)) problems.push(`${key} is "${value}", allowed: host:port, or nothing`);
  }
  if (config.temporalAddress !== '' && !/^[^\s:]+:\d+$/.test(config.temporalAddress)) {
    problems.push(`ORBWEAVER_TEMPORAL_ADDRESS is "${config.temporalAddress}", allowed: host:port`);
  }
  if (!Number.isInteger(config.kernelThreads) || config.kernelThreads < 1 || config.kernelThreads > 4) {
    problems.push(`ORBWEAVER_KERNEL_THREADS is "${environment['ORBWEAVER_KERNEL_THREADS']}", allowed: 1 to 4`);
  }
  if (!logLevels.includes(config.logLevel)) {
    problems.push(`ORBWEAVER_LOG_LEVEL is "${config.logLevel}", allowed: ${logLevels.join(', ')}`);
  }
  if (problems.length > 0) throw new Error(`Cannot start with this configuration:\n- ${problems.join('\n- ')}`);
  return config;
}
