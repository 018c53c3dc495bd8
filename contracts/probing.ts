/** How often the neighbours are asked for an address, and how long their answer is waited for. */
export interface ProbeTiming {
  readonly tries: number;
  /** From one try to the next. */
  readonly intervalMs: number;
  /** After the last one. */
  readonly waitMs: number;
}

/** What is asked of the network before an address is configured. */
export interface ProbeSettings {
  /** Whether something else answers for the address already. */
  readonly conflicts: boolean;
  /** Whether the pool's gateway answers. */
  readonly gateways: boolean;
  readonly timing: ProbeTiming;
}

/** What one network configuration, or one pool, says of it; what is absent is left to others. */
export interface ProbeConf {
  readonly conflicts?: boolean;
  readonly gateways?: boolean;
  readonly timing?: Partial<ProbeTiming>;
}

/** Three tries of 100 ms each, as Spiderpool has them (spec/connectivity.md §1.9). RFC 5227 §1.1 would take 4 to 7 seconds. */
export const defaultProbeTiming: ProbeTiming = { tries: 3, intervalMs: 100, waitMs: 100 };

export const mostProbeTries = 10;
/** Of an interval, and of the wait. With all tries it stays below what a step of an ADD may take. */
export const mostProbePauseMs = 1000;

/** The cluster's settings with what others say in their place: each over those before it. */
export const probeSettings = (cluster: ProbeSettings, ...others: readonly (ProbeConf | undefined)[]): ProbeSettings =>
  others.reduce<ProbeSettings>(
    (settings, { conflicts, gateways, timing } = {}) => ({
      conflicts: conflicts ?? settings.conflicts,
      gateways: gateways ?? settings.gateways,
      timing: { ...settings.timing, ...timing },
    }),
    cluster,
  );
