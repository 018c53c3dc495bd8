/** Sees to the pool of one application, NIC and family, from the application's wish for it until the pool is gone or kept. */
export const applicationPoolWorkflow = 'applicationPool';
/** Signal: something about the application, its pools or its Subnet changed. A hint: the receiver looks for itself. */
export const applicationPoolChanged = 'changed';

/** Application, NIC and family: argument of `applicationPool`. */
export interface ApplicationPoolSubject {
  /** As Kubernetes writes it: "apps/v1". */
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly ifName: string;
  readonly family: 4 | 6;
}

/**
 * Annotations of the pods of an application whose kind we do not know: for built-in kinds the pod template says them. Argument of
 * `applicationPool` and of its signal; the newest that is not empty counts.
 */
export type PodAnnotations = Readonly<Record<string, string>>;

/** @param key `subjectKey` of the subject. */
export const applicationPoolId = (key: string): string => `pool/${key}`;

/**
 * `Ready`: the pool is what the application wishes. `Shrinking`: it has more, because somebody has them. `WaitingForSubnet`: the
 * Subnet is not there, or has not enough. `Replacing`: the application uses another Subnet now; pods still have addresses of its former pool.
 * `Removing`: there is no wish any more; pods still have addresses. `Refused`: a person has to correct something.
 * `Kept` and `Gone` end the run.
 */
export type ApplicationPoolState =
  | 'Ready'
  | 'Shrinking'
  | 'WaitingForSubnet'
  | 'Replacing'
  | 'Removing'
  | 'Refused'
  | 'Kept'
  | 'Gone';

/** What one look found and did. */
export interface ApplicationPoolReport {
  readonly state: ApplicationPoolState;
  /** One sentence; empty when the state says all. */
  readonly why: string;
  /** Addresses that the application wishes; absent when it wishes none. */
  readonly wanted?: number;
  readonly pools: readonly ReportedPool[];
  /** What this look changed, in sentences. */
  readonly done: readonly string[];
}

export interface ReportedPool {
  readonly name: string;
  readonly subnet: string;
  /** Number of addresses. */
  readonly size: number;
  readonly role: 'serves' | 'is to go' | 'is kept';
}

/** What `applicationPool` may do, on the queue `control`. */
export interface ApplicationPoolActivities {
  /** Looks at the application, its pools and its Subnet, and writes what is missing. Doing it twice equals doing it once. */
  readonly seeToPool: (
    subject: ApplicationPoolSubject,
    podAnnotations: PodAnnotations,
  ) => Promise<ApplicationPoolReport>;
}
