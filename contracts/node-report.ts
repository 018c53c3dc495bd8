import type { Attachment, PodIdentity } from './attachment.ts';

/**
 * Environment key of a frame that asks the node worker about itself instead of making a CNI call; its value names the report.
 * The socket is 0600 root, so whoever may ask this may also make CNI calls.
 */
export const reportKey = 'ORBWEAVER_REPORT';
export const nodeReportName = 'node';

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
