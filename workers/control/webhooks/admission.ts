import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { PoolEditSpec } from '../../../contracts/crds/pooledit.ts';
import type { Family } from '../../../ipam/address.ts';
import { entryFor } from '../../../ipam/admission/address-space.ts';
import {
  mutateCoordinator,
  validateCoordinatorCreate,
  validateCoordinatorUpdate,
} from '../../../ipam/admission/coordinator-rules.ts';
import { asObject, asText, specOf } from '../../../ipam/admission/json-object.ts';
import {
  judgeNarrowing,
  mutatePool,
  narrowedBy,
  validatePoolCreate,
  validatePoolDelete,
  validatePoolUpdate,
} from '../../../ipam/admission/pool-rules.ts';
import {
  mutateReservedIP,
  validateReservedIPCreate,
  validateReservedIPUpdate,
} from '../../../ipam/admission/reserved-ip-rules.ts';
import {
  mutateSubnet,
  validateSubnetCreate,
  validateSubnetDelete,
  validateSubnetUpdate,
} from '../../../ipam/admission/subnet-rules.ts';
import type { Mutation, Verdict } from '../../../ipam/admission/verdict.ts';
import type { AdmissionSettings, AdmissionWorld, TakenAddress } from '../../../ipam/admission/world.ts';
import { type IntervalSet, intervalSet, subtract } from '../../../ipam/interval-set.ts';
import type { EditablePool } from '../../../ipam/pool-edit.ts';
import { formatRanges, parseRange } from '../../../ipam/range-grammar.ts';
import type { Deadline } from '../../../kube/persist.ts';
import type { AdmissionRequest, Answer } from './admission-review.ts';
import { type JsonObject, jsonPatch } from './json-patch.ts';
import type { Listed, SpaceQueue } from './space-queue.ts';
import type { AdmissionPhase, AdmittedKind } from './webhook-configurations.ts';

/** What admission reads and writes. */
export interface AdmissionPorts {
  readonly settings: AdmissionSettings;
  /** User name of the control worker itself. */
  readonly controlWorker: string;
  /** What exists, from lists that begin after the call. */
  readonly list: () => Promise<Listed>;
  readonly subnets: () => Promise<Listed['subnets']>;
  readonly spaces: Readonly<Record<Family, Pick<SpaceQueue, 'decide'>>>;
  /** The addresses of a pool that somebody has, from a list that begins after the call. */
  readonly takenAddresses: (pool: string) => Promise<readonly TakenAddress[]>;
  readonly edits: {
    announce(name: string, spec: PoolEditSpec): Promise<void>;
    noteKnown(name: string): Promise<void>;
    /** Open edits of the pool for which somebody has waited already. */
    known(pool: EditablePool): Promise<readonly PoolEditSpec[]>;
    withdraw(name: string): Promise<void>;
  };
  /** For how long a node may go by what it read of the edits. */
  readonly nodeMemoryMs: number;
  readonly sleep?: (ms: number) => Promise<unknown>;
}

/** Answers questions about the kinds that admission looks at. Throws when it could not find out. */
export class Admission {
  readonly #ports: AdmissionPorts;

  constructor(ports: AdmissionPorts) {
    this.#ports = ports;
  }

  async answer(
    phase: AdmissionPhase,
    kind: AdmittedKind,
    request: AdmissionRequest,
    deadline: Deadline,
  ): Promise<Answer> {
    if (phase === 'validate') return asAnswer(await this.#validate(kind, request, deadline));
    const mutation = await this.#mutate(kind, request);
    if (mutation.outcome === 'denied') return asAnswer(mutation);
    return { allowed: true, warnings: [], patch: jsonPatch(request.object, mutation.object as JsonObject) };
  }

  async #mutate(kind: AdmittedKind, { operation, object, oldObject }: AdmissionRequest): Promise<Mutation> {
    const { settings, subnets } = this.#ports;
    const old = operation === 'UPDATE' ? oldObject : undefined;
    switch (kind) {
      case 'spiderippool':
        return mutatePool(object, old, { settings, subnets: settings.subnets ? await subnets() : [] });
      case 'spidersubnet':
        return mutateSubnet(object, old, { settings });
      case 'spiderreservedip':
        return mutateReservedIP(object, old, { settings });
      case 'spidercoordinator':
        return mutateCoordinator(object, old);
    }
  }

  async #validate(kind: AdmittedKind, request: AdmissionRequest, deadline: Deadline): Promise<Verdict> {
    const { settings } = this.#ports;
    const { operation, object, oldObject } = request;
    switch (kind) {
      case 'spiderippool':
        if (operation === 'DELETE') return await this.#deletePool(request, deadline);
        return operation === 'CREATE'
          ? await this.#decide(request, deadline, (world) => validatePoolCreate(object, world))
          : await this.#editPool(request, deadline);
      case 'spidersubnet':
        return await this.#decide(request, deadline, (world) => {
          if (operation === 'DELETE') return validateSubnetDelete(oldObject, world);
          return operation === 'CREATE'
            ? validateSubnetCreate(object, world)
            : validateSubnetUpdate(oldObject, object, world);
        });
      case 'spiderreservedip':
        return operation === 'CREATE'
          ? validateReservedIPCreate(object, { settings })
          : validateReservedIPUpdate(oldObject, object, { settings });
      case 'spidercoordinator':
        return operation === 'CREATE'
          ? validateCoordinatorCreate(object)
          : validateCoordinatorUpdate(oldObject, object);
    }
  }

  async #deletePool(request: AdmissionRequest, deadline: Deadline): Promise<Verdict> {
    const { settings, takenAddresses } = this.#ports;
    const taken = settings.refusesDeletionInUse ? await takenAddresses(identityOf(request.oldObject).name) : [];
    return await this.#decide(request, deadline, () =>
      validatePoolDelete(request.oldObject, { settings }, taken.length),
    );
  }

  /**
   * An edit that takes addresses away is made known before the claims are looked at. A node looks at the edits after it created
   * a claim and may go by what it read `nodeMemoryMs` before; so after that time a claim that it keeps is in the list.
   */
  async #editPool(request: AdmissionRequest, deadline: Deadline): Promise<Verdict> {
    const { edits, takenAddresses, nodeMemoryMs, sleep = wait } = this.#ports;
    const { object, oldObject, isDryRun, user } = request;
    const judge = (world: AdmissionWorld): Verdict => validatePoolUpdate(oldObject, object, world);
    const narrowed = narrowedBy(oldObject, object);
    if (narrowed.size === 0n) return await this.#decide(request, deadline, judge);

    const atFirst = judge(this.#worldOf(user, await this.#ports.list()));
    if (atFirst.outcome === 'denied') return atFirst;
    const { name, uid, generation } = identityOf(oldObject);
    const look = async (): Promise<Verdict> => judgeNarrowing(oldObject, object, await takenAddresses(name));
    const early = await look();
    if (early.outcome === 'denied') return early;
    if (isDryRun) return await this.#decide(request, deadline, judge);

    // The API server asks again when the pool changed meanwhile, as it does with every count that is published in its status.
    const known = await edits.known({ metadata: { uid, generation }, spec: {} });
    if (subtract(narrowed, setOf(known.flatMap(({ ips }) => ips))).size === 0n) {
      const now = await look();
      return now.outcome === 'denied' ? now : await this.#decide(request, deadline, judge);
    }
    const edit = randomUUID();
    let verdict: Verdict | undefined;
    try {
      const ips = formatRanges(narrowed, familyOf(subnetOf(oldObject)));
      await edits.announce(edit, { pool: name, poolUID: uid, generation, ips });
      await sleep(nodeMemoryMs);
      await edits.noteKnown(edit);
      const late = await look();
      verdict = late.outcome === 'denied' ? late : await this.#decide(request, deadline, judge);
      return verdict;
    } finally {
      if (verdict?.outcome !== 'allowed') await edits.withdraw(edit);
    }
  }

  /** By what exists and, where addresses are taken or given up, by what was let pass and may not exist yet. */
  async #decide(
    { operation, object, oldObject, isDryRun, user }: AdmissionRequest,
    deadline: Deadline,
    judge: (world: AdmissionWorld) => Verdict,
  ): Promise<Verdict> {
    const judgeListed = (listed: Listed): Verdict => judge(this.#worldOf(user, listed));
    const shared = { isDryRun, deadline, judge: judgeListed };
    if (operation === 'DELETE') {
      const { uid, generation } = identityOf(oldObject);
      const deleted = new Map([[uid, generation]]);
      return await this.#ports.spaces[familyOf(subnetOf(oldObject))].decide({ ...shared, deleted });
    }
    const entry = entryFor(object, operation === 'UPDATE' ? oldObject : undefined, Date.now());
    if (entry === undefined) return judgeListed(await this.#ports.list());
    return await this.#ports.spaces[familyOf(entry.subnet)].decide({ ...shared, entry });
  }

  #worldOf(user: string, listed: Listed): AdmissionWorld {
    const { settings, controlWorker } = this.#ports;
    return { settings, controlWorker, user, ...listed };
  }
}

const asAnswer = (verdict: Verdict): Answer =>
  verdict.outcome === 'allowed'
    ? { allowed: true, warnings: verdict.warnings, patch: [] }
    : { allowed: false, status: verdict.status, message: verdict.message };

/** Of an object that the API server has stored: what is missing there is in no object of its. */
function identityOf({ metadata }: JsonObject): { name: string; uid: string; generation: number } {
  const { name, uid, generation } = asObject(metadata);
  return { name: String(name), uid: String(uid), generation: Number(generation) };
}

const subnetOf = (object: JsonObject): string => asText(specOf(object)['subnet']);

const setOf = (ranges: readonly string[]): IntervalSet =>
  intervalSet(
    ranges.map((text) => parseRange(text)).flatMap((read) => (read.outcome === 'range' ? [read.interval] : [])),
  );

const familyOf = (subnet: string): Family => (subnet.includes(':') ? 6 : 4);
