/** Figures of Spiderpool 1.2.1 on the same machine, by the name of the variant that is their like. */
export interface SpiderpoolFigures {
  readonly addMs?: string;
  readonly addPerSecond?: string;
  readonly delMs?: string;
  readonly failed?: string;
  readonly freedNothing?: string;
  readonly walBytesPerAdd?: string;
  readonly cpuMsPerAdd?: string;
}

/**
 * Measured in November 2026 as this benchmark measures: real API server 1.36.3, etcd 3.6.8 with fsync, chart defaults, pods made
 * before, the plugin executed for each call, 2 cores. Milliseconds are p50 / p90 / p99 or p50 / p99.
 */
export const spiderpool: Readonly<Record<string, SpiderpoolFigures>> = {
  'addresses, 1 at once': { addMs: '40 / 48 / 58', addPerSecond: '24', delMs: '31 / 48', walBytesPerAdd: '8 KB' },
  'addresses, 8 at once': { addMs: '173 / 257 / 324', addPerSecond: '44', delMs: '158 / 296' },
  'addresses, 32 at once': { addMs: '721 / 941 / 1095', addPerSecond: '44', delMs: '738 / 1137' },
  'addresses, 100 at once': { addMs: '2408 / 2826 / 3073', addPerSecond: '40', delMs: '2362 / 3330' },
  'addresses, dual stack, 1 at once': { addMs: '40 / 48 / 68', addPerSecond: '23', delMs: '31 / 48' },
  'addresses, dual stack, 32 at once': { addMs: '1237 / 1289 / 1331', addPerSecond: '29' },
  'chain, 1 at once': { addMs: '72.5 / 82.8 / 114', delMs: '85', cpuMsPerAdd: '53' },
  '0 of 8,189 in use, 1 at once': { addMs: '40 / 56', walBytesPerAdd: '8 KB', cpuMsPerAdd: '19 + 18 plugin' },
  '0 of 8,189 in use, 8 at once': { addPerSecond: '44' },
  '1,000 of 8,189 in use, 1 at once': { addMs: '60 / 94', walBytesPerAdd: '107 KB', cpuMsPerAdd: '53 + 18 plugin' },
  '1,000 of 8,189 in use, 8 at once': { addPerSecond: '32 → 18' },
  '4,000 of 8,189 in use, 1 at once': { addMs: '126 / 164', walBytesPerAdd: '405 KB', cpuMsPerAdd: '142 + 18 plugin' },
  '4,000 of 8,189 in use, 8 at once': { addPerSecond: '9' },
  'addresses, 2 × 16': { addMs: '724 / 1538', addPerSecond: '36', failed: '1.7 %', freedNothing: '11' },
  'addresses, 4 × 8': { addMs: '821 / 1985', addPerSecond: '28', failed: '6.9 %', freedNothing: '7 %' },
  'addresses, 4 × 25': { addMs: '3220 / 5120', addPerSecond: '26', failed: '7.1 %', freedNothing: '7 %' },
  'addresses, 12 × 2': { addMs: '424 / 3126', addPerSecond: '20', failed: '18 %', freedNothing: '34 %' },
  'addresses, 4 × 8, 4,000 in use': { addMs: '3671 / 6143', addPerSecond: '5.9', failed: '20 %', freedNothing: '22 %' },
};
