/**
 * How the node worker's process is started, wherever that is (docs/benchmarks.md, "Memory"). Node's defaults are made for servers
 * that have a machine to themselves: its young generation grows to 3 × 16 MB, and glibc keeps a heap for each of 18 threads. The
 * old generation must hold the runs of 600 sandboxes, 0.2 MB each, with room.
 */
export const nodeWorkerProcess = {
  /** For `node`, before the program. */
  flags: ['--max-semi-space-size=4', '--max-old-space-size=384'],
  env: { MALLOC_ARENA_MAX: '2' },
} as const;
