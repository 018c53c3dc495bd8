import { randomUUID } from 'node:crypto';
import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import type { ApiClient, ApiRequest } from '../api-client.ts';
import { ApiError } from '../api-error.ts';

/**
 * An API server that knows only `IPClaim`, in memory. It keeps the rules that the claim store rests on: one object per
 * name, a new resourceVersion with every write, refusal of updates and deletes that carry an old one or another UID.
 */
export class MemoryClaims implements ApiClient {
  readonly #claims = new Map<string, IPClaim>();
  #revision = 0;
  #listCount = 0;

  /** How many lists it has answered. */
  get listCount(): number {
    return this.#listCount;
  }

  all(): readonly IPClaim[] {
    return [...this.#claims.values()];
  }

  async request<Answer>(request: ApiRequest): Promise<Answer> {
    await Promise.resolve(); // an answer never comes before the caller has gone on
    return structuredClone(this.#answer(request)) as Answer;
  }

  // oxlint-disable-next-line require-yield -- nothing watches claims
  async *watch<Event>(): AsyncIterable<Event> {
    throw new Error('nobody watches claims');
  }

  async close(): Promise<void> {}

  #answer({ method, path, query = {}, body }: ApiRequest): unknown {
    const name = path.slice(collection.length + 1);
    const refuse = (status: number, reason: string): ApiError =>
      new ApiError({ request: `${method} ${path}`, status, reason, detail: `ipclaims "${name}"` });
    if (!path.startsWith(collection)) throw refuse(404, 'NotFound');
    if (method === 'POST') return this.#create(body as IPClaim, refuse);
    if (name === '') return this.#list(String(query['labelSelector'] ?? ''));

    const stored = this.#claims.get(name);
    if (!stored) throw refuse(404, 'NotFound');
    if (method === 'PUT') {
      const update = body as IPClaim;
      if (update.metadata.resourceVersion !== stored.metadata.resourceVersion) throw refuse(409, 'Conflict');
      return this.#store({ ...update, metadata: { ...update.metadata, uid: stored.metadata.uid ?? '' } });
    }
    if (method === 'DELETE') {
      const { preconditions = {} } = (body ?? {}) as { preconditions?: { uid?: string; resourceVersion?: string } };
      const { uid = stored.metadata.uid, resourceVersion = stored.metadata.resourceVersion } = preconditions;
      const isSame = uid === stored.metadata.uid && resourceVersion === stored.metadata.resourceVersion;
      if (!isSame) throw refuse(409, 'Conflict');
      this.#claims.delete(name);
    }
    return stored;
  }

  #create(claim: IPClaim, refuse: (status: number, reason: string) => ApiError): IPClaim {
    if (this.#claims.has(claim.metadata.name)) throw refuse(409, 'AlreadyExists');
    return this.#store({ ...claim, metadata: { ...claim.metadata, uid: randomUUID() } });
  }

  #store(claim: IPClaim): IPClaim {
    this.#revision += 1;
    const stored = structuredClone({
      ...claim,
      metadata: { ...claim.metadata, resourceVersion: String(this.#revision) },
    });
    this.#claims.set(claim.metadata.name, stored);
    return stored;
  }

  #list(labelSelector: string): unknown {
    this.#listCount += 1;
    const [key = '', value] = labelSelector.split('=');
    const rows = this.all()
      .filter(({ metadata: { labels = {} } }) => key === '' || labels[key] === value)
      .map((claim) => ({ cells: Object.values(columnsOf(claim)).map((cell) => cell ?? null) }));
    const columnDefinitions = columnNames.map((name) => ({ name }));
    return { kind: 'Table', metadata: { resourceVersion: String(this.#revision) }, columnDefinitions, rows };
  }
}

const collection = '/apis/orbweaver.io/v1alpha1/ipclaims';

/** As deploy/crds/ipclaim.yaml says; the shared contract runs against both. */
const columnsOf = ({ metadata, spec }: Pick<IPClaim, 'metadata' | 'spec'>) => ({
  Name: metadata.name,
  Phase: spec.phase,
  Until: spec.until,
  'Pod-UID': spec.holders[0]?.podUID,
  NIC: spec.holders[0]?.interface,
  'Container-ID': spec.holders[0]?.containerID,
  Identity: spec.identity,
  Namespace: spec.holders[0]?.namespace,
  Pod: spec.holders[0]?.pod,
  Network: spec.holders[0]?.network,
  Node: spec.holders[0]?.node,
  Pool: spec.pool,
});

const columnNames = Object.keys(
  columnsOf({ metadata: { name: '' }, spec: { address: '', pool: '', phase: 'Bound', holders: [] } }),
);
