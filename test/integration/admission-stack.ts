import { join } from 'node:path';
import {
  type ControlWorkerSettings,
  prepareControlWorkers,
  startControlWorker,
  untilAdmissionServes,
} from '../../deploy/dev/control-workers.ts';
import { type Stack, startStack } from '../../deploy/dev/stack.ts';
import type { StackProcess } from '../../deploy/dev/stack-process.ts';
import { type ApiClient, type ApiMethod, openApiClient } from '../../kube/api-client.ts';
import { ApiError } from '../../kube/api-error.ts';
import { type ApiEndpoint, endpointOf } from '../../kube/kubeconfig.ts';
import { bundleWorkflows } from '../../workers/node/bundle-workflows.ts';

const group = '/apis/spiderpool.spidernet.io/v2beta1';

/** Path of the collection of each kind that admission looks at. */
export const collections = {
  SpiderIPPool: `${group}/spiderippools`,
  SpiderSubnet: `${group}/spidersubnets`,
  SpiderReservedIP: `${group}/spiderreservedips`,
} as const;
export type Kind = keyof typeof collections;

export const objectOf = (kind: Kind, name: string, spec: object, metadata: object = {}): object => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind,
  metadata: { name, ...metadata },
  spec,
});

/** A real API server that asks replicas of the control worker: real processes, beside it in its namespace. */
export class AdmissionStack {
  readonly stack: Stack;
  readonly endpoint: ApiEndpoint;
  readonly api: ApiClient;
  /** A hundred requests at once: a client has 16 connections. */
  readonly #clients: readonly ApiClient[];
  #requests = 0;
  replicas: readonly StackProcess[] = [];
  readonly #settings: ControlWorkerSettings;

  private constructor(stack: Stack, endpoint: ApiEndpoint, settings: ControlWorkerSettings) {
    this.stack = stack;
    this.endpoint = endpoint;
    this.api = openApiClient(endpoint);
    this.#clients = Array.from({ length: 7 }, () => openApiClient(endpoint));
    this.#settings = settings;
  }

  static async start(): Promise<AdmissionStack> {
    const stack = await startStack({ nodes: [], temporal: false });
    try {
      const workflowBundle = join(stack.directory, 'workflows.js');
      const [kubeconfig] = await Promise.all([prepareControlWorkers(stack), bundleWorkflows(workflowBundle)]);
      const endpoint = await endpointOf(stack.kubeconfigs.admin);
      return new AdmissionStack(stack, endpoint, { kubeconfig, workflowBundle, logLevel: 'debug' });
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  /** Starts replicas with these settings of the cluster, and waits until they are asked. */
  async serve(replicas = 1, clusterSettings: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.silence();
    this.replicas = Array.from({ length: replicas }, (_, index) =>
      startControlWorker(this.stack, index, {
        ...this.#settings,
        clusterSettings: { ORBWEAVER_WEBHOOK_SETTLE_SECONDS: '6', ...clusterSettings },
      }),
    );
    for (const replica of this.replicas.slice(0, 1)) await untilAdmissionServes(this.stack, replica);
  }

  async silence(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.stop()));
    this.replicas = [];
  }

  async stop(): Promise<void> {
    await Promise.all([this.api, ...this.#clients].map((client) => client.close()));
    await this.stack.stop();
  }

  request<Answer>(method: ApiMethod, path: string, body?: object, query: Record<string, string> = {}): Promise<Answer> {
    this.#requests += 1;
    const client = this.#clients[this.#requests % this.#clients.length] ?? this.api;
    return client.request<Answer>({ method, path, body, query, timeoutMs: 35_000 });
  }

  /** 'admitted', or what the API server says. */
  async verdict(method: ApiMethod, path: string, body?: object, query: Record<string, string> = {}): Promise<string> {
    try {
      await this.request(method, path, body, query);
      return 'admitted';
    } catch (error) {
      if (error instanceof ApiError) return error.message;
      throw error;
    }
  }

  create(kind: Kind, name: string, spec: object, metadata: object = {}): Promise<string> {
    return this.verdict('POST', collections[kind], objectOf(kind, name, spec, metadata));
  }

  /** Replaces what a change gives of the spec, again when somebody wrote meanwhile, as every client does. */
  async edit(kind: Kind, name: string, change: object, query: Record<string, string> = {}): Promise<string> {
    const path = `${collections[kind]}/${name}`;
    for (let tries = 1; ; tries += 1) {
      const found = await this.request<{ spec: object }>('GET', path);
      const verdict = await this.verdict('PUT', path, { ...found, spec: { ...found.spec, ...change } }, query);
      if (tries === 5 || !verdict.includes('the object has been modified')) return verdict;
    }
  }

  /** Deletes everything, and waits until the finalizers are gone. */
  async clean(): Promise<void> {
    await this.request('DELETE', '/apis/orbweaver.io/v1alpha1/ipclaims');
    for (const path of Object.values(collections)) await this.request('DELETE', path);
  }
}
