import type { Attachment, PodIdentity } from './attachment.ts';

/**
 * Environment key of a frame that asks the node worker about itself instead of making a CNI call; its value names the report.
 * The socket is 0600 root, so whoever may ask this may also make CNI calls.
 */
export const reportKey = 'ORBWEAVER_REPORT';
export const nodeReportName = 'node';
export const sandboxReportName = 'sandbox';

/** What stands on stdin when a sandbox's report is asked for. */
export interface SandboxQuestion {
  readonly namespace: string;
  readonly name: string;
  /** Absent: every sandbox of a pod of that name. */
  readonly containerID?: string;
}

/** What a pod has on this node now, beside what it should have. */
export interface SandboxReport {
  readonly node: string;
  readonly attachments: readonly AttachmentReport[];
}

export interface AttachmentReport {
  readonly attachment: Attachment;
  /** CHECK's sentences; none when all is as it was added. */
  readonly differences: readonly string[];
  readonly facts: readonly ReportedFact[];
}

/** As ip(8) shows it. `missing`: it should be there; `surplus`: it should not. */
export interface ReportedFact {
  readonly at: 'pod' | 'node';
  readonly what: string;
  readonly state: 'right' | 'missing' | 'surplus';
}

/** What `orb node` shows of the node that it runs on. */
export interface NodeReport {
  readonly node: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly machineID: string;
  readonly bootID: string;
  readonly health: readonly HealthItem[];
  readonly nics: readonly NodeNic[];
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number; readonly workerRssBytes: number };
  readonly attachments: readonly NodeAttachment[];
}

/** One thing that an ADD or a DEL depends on. */
export interface HealthItem {
  readonly name: 'Temporal' | 'API server' | 'kernel' | 'queue' | 'pod watch';
  readonly isHealthy: boolean;
  /** The state found, and when unhealthy what follows from it. */
  readonly detail: string;
}

export interface NodeNic {
  readonly name: string;
  readonly mac: string;
  readonly driver: string;
  readonly isUp: boolean;
  readonly mtuBytes: number;
  /** Absent where the driver does not say. */
  readonly speedBitsPerSecond?: number;
  readonly isVirtual: boolean;
}

export interface NodeAttachment {
  readonly attachment: Attachment;
  readonly pod: PodIdentity;
  readonly netns: string;
  readonly addresses: readonly string[];
  readonly isDone: boolean;
  readonly addedAtMs: number;
}
