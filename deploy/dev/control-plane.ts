import { readFile, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { join } from 'node:path';
import { toolPath } from '../toolchain/parts.ts';
import { type Authority, apiServerNames, createAuthority, createSigningKey, kubeconfigText } from './certificates.ts';
import type { Sighting } from './eventually.ts';
import { flags } from './flags.ts';
import { management, ports, type StackLayout } from './layout.ts';
import type { Place } from './place.ts';
import { runCommand } from './run-command.ts';
import { environment, type StackProcess, untilReady } from './stack-process.ts';

/** The API server of a stack with its authority, ready for requests. */
export interface ControlPlane {
  readonly authority: Authority;
  readonly parts: readonly StackProcess[];
  /** For people and tests on the host: through the relay, cluster administrator. */
  readonly adminKubeconfig: string;
  /** Runs kubectl as administrator and gives its output. */
  readonly kubectl: (args: readonly string[], input?: string) => Promise<string>;
}

/** URL of the API server for everybody on the management network. */
export const insideApiServer = `https://${management.control}:${ports.apiServer}`;

export interface ControlPlaneOptions {
  /** Also the controller-manager and the scheduler. */
  readonly controllers: boolean;
  /** CIDRs of Services, at most one of each family; a Service that asks for no family is of the first one's. */
  readonly serviceRanges: readonly string[];
  /** What etcd acknowledged is on disk. */
  readonly durable: boolean;
}

/** Starts etcd and kube-apiserver, and waits until /readyz says ok. */
export async function startControlPlane(
  layout: StackLayout,
  control: Place,
  hostPort: number,
  { controllers, serviceRanges, durable }: ControlPlaneOptions,
): Promise<ControlPlane> {
  const etcd = startEtcd(layout, control, durable);
  const authority = await createAuthority(layout.pki);
  const signingKey = await createSigningKey(layout.pki);
  const [serving, kubeletClient, admin] = await Promise.all([
    authority.issue('kube-apiserver', '/CN=kube-apiserver', 'serverAuth', apiServerNames),
    authority.issue('kubelet-client', '/O=system:masters/CN=kube-apiserver-kubelet-client', 'clientAuth'),
    authority.issue('admin', '/O=system:masters/CN=admin', 'clientAuth'),
  ]);
  const adminKubeconfig = join(layout.directory, 'kubeconfig');
  await writeFile(
    adminKubeconfig,
    await kubeconfigText(`https://127.0.0.1:${hostPort}`, authority, { certificate: admin }),
    { mode: 0o600 },
  );

  const apiServer = control.spawn('kube-apiserver', [
    toolPath('kube-apiserver'),
    ...flags({
      'etcd-servers': `http://127.0.0.1:${ports.etcd}`,
      'bind-address': '0.0.0.0',
      'secure-port': ports.apiServer,
      'advertise-address': management.control,
      'endpoint-reconciler-type': 'none',
      'tls-cert-file': serving.certificateFile,
      'tls-private-key-file': serving.keyFile,
      'client-ca-file': authority.certificateFile,
      'kubelet-client-certificate': kubeletClient.certificateFile,
      'kubelet-client-key': kubeletClient.keyFile,
      'kubelet-certificate-authority': authority.certificateFile,
      'kubelet-preferred-address-types': 'InternalIP',
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-account-key-file': signingKey.publicFile,
      'service-account-signing-key-file': signingKey.privateFile,
      'service-cluster-ip-range': serviceRanges.join(),
      'authorization-mode': 'Node,RBAC',
      'enable-admission-plugins': 'NodeRestriction',
      'allow-privileged': true,
      profiling: false,
    }),
  ]);
  const certificate = await readFile(authority.certificateFile, 'utf8');
  await untilReady(apiServer, 60, () => readyz(hostPort, certificate));
  // Not earlier: what they are refused before the built-in roles are there, they ask for again only seconds later.
  const started = controllers ? await startControllers(layout, control, authority, signingKey.privateFile) : [];
  // kubectl keeps what it learned of a server by host and port, and another stack may have had the port.
  const global = flags({ kubeconfig: adminKubeconfig, 'cache-dir': join(layout.directory, 'kubectl') });
  return {
    authority,
    parts: [etcd, apiServer, ...started],
    adminKubeconfig,
    kubectl: (args, input) =>
      runCommand([toolPath('kubectl'), ...global, ...args], {
        env: environment(layout),
        ...(input === undefined ? {} : { input }),
      }),
  };
}

function startEtcd(layout: StackLayout, control: Place, durable: boolean): StackProcess {
  const client = `http://127.0.0.1:${ports.etcd}`;
  const peer = `http://127.0.0.1:${ports.etcdPeer}`;
  return control.spawn('etcd', [
    toolPath('etcd'),
    ...flags({
      name: 'dev',
      'data-dir': join(layout.directory, 'etcd'),
      'log-level': 'warn',
      'listen-client-urls': client,
      'advertise-client-urls': client,
      'listen-peer-urls': peer,
      'initial-advertise-peer-urls': peer,
      'initial-cluster': `dev=${peer}`,
      'unsafe-no-fsync': !durable, // a stack does not outlive the machine's next boot
    }),
  ]);
}

async function startControllers(
  layout: StackLayout,
  control: Place,
  authority: Authority,
  signingKeyFile: string,
): Promise<StackProcess[]> {
  const local = { 'bind-address': '127.0.0.1', 'leader-elect': false };
  const kubeconfigOf = async (name: string): Promise<string> => {
    const certificate = await authority.issue(name, `/CN=system:${name}`, 'clientAuth');
    const file = join(layout.pki, `${name}.kubeconfig`);
    await writeFile(file, await kubeconfigText(insideApiServer, authority, { certificate }), { mode: 0o600 });
    return file;
  };
  const [managerConfig, schedulerConfig] = await Promise.all([
    kubeconfigOf('kube-controller-manager'),
    kubeconfigOf('kube-scheduler'),
  ]);
  return [
    control.spawn('kube-controller-manager', [
      toolPath('kube-controller-manager'),
      ...flags({
        ...local,
        'secure-port': ports.controllerManager,
        kubeconfig: managerConfig,
        'use-service-account-credentials': true,
        // Every controller gets its credential at start; at 20 requests per second that takes 3 s.
        'kube-api-qps': 500,
        'kube-api-burst': 500,
        'service-account-private-key-file': signingKeyFile,
        'root-ca-file': authority.certificateFile,
        'cluster-signing-cert-file': authority.certificateFile,
        'cluster-signing-key-file': authority.keyFile,
        'cert-dir': join(layout.pki, 'kube-controller-manager'),
      }),
    ]),
    control.spawn('kube-scheduler', [
      toolPath('kube-scheduler'),
      ...flags({
        ...local,
        'secure-port': ports.scheduler,
        kubeconfig: schedulerConfig,
        'cert-dir': join(layout.pki, 'kube-scheduler'),
      }),
    ]),
  ];
}

/** Asks /readyz, which answers anybody once the built-in roles are there. */
function readyz(hostPort: number, ca: string): Promise<Sighting<true>> {
  return new Promise((resolve, reject) => {
    const question = get(
      { host: '127.0.0.1', port: hostPort, path: '/readyz', ca, agent: false, timeout: 5000 },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200 ? { value: true } : { state: `/readyz answers ${answer.statusCode}` });
      },
    );
    question.on('timeout', () => question.destroy(new Error('/readyz does not answer')));
    question.on('error', reject);
  });
}
