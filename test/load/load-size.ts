/** How many times as much load as `make test` has: 5 with ORBWEAVER_LONG=1; LOAD_FACTOR=0.1 for a quick look. */
export const loadFactor = Number(process.env['LOAD_FACTOR'] ?? (process.env['ORBWEAVER_LONG'] === '1' ? 5 : 1));

export const loadSize = (usual: number): number => Math.ceil(usual * loadFactor);

/** Calls that are open at the same time. LOAD_AT_ONCE=4 where others use the machine. */
export const callsAtOnce = Number(process.env['LOAD_AT_ONCE'] ?? 32);
