/**
 * Every way in which a call can fail. The key is the Temporal failure type, the metric label and the heading of the
 * operations page; `cniCode` is what the runtime sees; `retry` says whether an undo that failed so is worth repeating (a step of an ADD never is: kubelet repeats the whole of it).
 *
 * Codes below 100 are those of CNI spec 1.1.0, "Error"; 8 is libcni's for an invalid namespace; 100 and up are ours.
 */
export const failures = {
  // The request
  IncompatibleCniVersion: { cniCode: 1, retry: false },
  InvalidEnvironment: { cniCode: 4, retry: false },
  InvalidJson: { cniCode: 6, retry: false },
  InvalidConfig: { cniCode: 7, retry: false },
  NotImplemented: { cniCode: 7, retry: false },
  InvalidNamespace: { cniCode: 8, retry: false },
  InvalidAnnotation: { cniCode: 7, retry: false },
  // Addresses
  NoPool: { cniCode: 7, retry: false },
  PoolNotFound: { cniCode: 7, retry: false },
  PoolAwaited: { cniCode: 11, retry: false }, // an automatic pool that nobody has made in time
  PoolExhausted: { cniCode: 11, retry: false }, // 11, "try again later": kubelet repeats the ADD, waiting inside it helps no one
  AddressNotOffered: { cniCode: 7, retry: false }, // asked for by name, and no pool of the pod may give it
  AddressTaken: { cniCode: 11, retry: false },
  StickyAddressInUse: { cniCode: 11, retry: false }, // kept for this pod, and its last sandbox may still answer for it
  AddressConflict: { cniCode: 11, retry: false }, // something else on the network answers for it
  GatewayUnreachable: { cniCode: 11, retry: false },
  CoordinatorNotReady: { cniCode: 11, retry: false }, // a list of CIDRs that this pod needs is not known yet
  PodNotFound: { cniCode: 11, retry: false },
  PodNotAlive: { cniCode: 7, retry: false },
  // The node
  InterfaceExists: { cniCode: 7, retry: false },
  ParentLinkMissing: { cniCode: 7, retry: false },
  SharedLinkDiffers: { cniCode: 7, retry: false }, // a bond or VLAN of that name is there, and not as it is asked for
  DeviceUnfit: { cniCode: 7, retry: false }, // no such device, or not one that can be lent
  DeviceInUse: { cniCode: 11, retry: false }, // lent to another pod, whose DEL gives it back
  KernelRefused: { cniCode: 101, retry: true },
  NotAsAdded: { cniCode: 103, retry: false }, // CHECK found the attachment missing or changed
  RecordUnwritable: { cniCode: 5, retry: true },
  // Other parts
  ApiServerUnavailable: { cniCode: 11, retry: true },
  TemporalUnavailable: { cniCode: 11, retry: true },
  WorkerBusy: { cniCode: 11, retry: true },
  // The run
  CallerGone: { cniCode: 11, retry: false },
  Cancelled: { cniCode: 11, retry: false },
  Superseded: { cniCode: 11, retry: false },
  UnwindStuck: { cniCode: 102, retry: false },
  Internal: { cniCode: 100, retry: true },
} as const satisfies Record<string, { cniCode: number; retry: boolean }>;

export type FailureType = keyof typeof failures;

export const isFailureType = (text: unknown): text is FailureType =>
  typeof text === 'string' && Object.hasOwn(failures, text);

/** A failure as it crosses a process: inside a Temporal failure's details, a record, a log line. */
export interface Failure {
  readonly type: FailureType;
  /** What could not be done, and the state that was found. */
  readonly message: string;
  /** The operator's next command or setting. */
  readonly remedy?: string;
}

/** An expected failure of the world, with its place in the table and what an operator can do about it. */
export class ProvisionError extends Error {
  override readonly name = 'ProvisionError';
  readonly type: FailureType;
  readonly remedy: string | undefined;

  constructor(failure: Failure, options?: { cause?: unknown }) {
    super(failure.message, options);
    this.type = failure.type;
    this.remedy = failure.remedy;
  }
}

/** Finds our failure in a chain of causes; anything else is `Internal`, so that nothing is ever reported without a code. */
export function toFailure(error: unknown): Failure {
  for (let link: unknown = error; link instanceof Error; link = link.cause) {
    if (link instanceof ProvisionError) {
      return { type: link.type, message: link.message, ...(link.remedy === undefined ? {} : { remedy: link.remedy }) };
    }
  }
  return { type: 'Internal', message: error instanceof Error ? error.message : String(error) };
}
